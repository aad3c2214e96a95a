"""Reads whole numbers however JSON writes them: to JSON Schema, 3.0 and 3e0 are integers as 3 is.

Some languages write all numbers so. msgspec takes none of these for an int.
"""

import re
from typing import Any, Final

import msgspec

MOST_BYTES: Final = 32 * 1024  # rewriting a longer text would hold up the event loop
_LARGEST: Final = 2**53  # beyond it a float is not the number that was written

# It never looks twice at a part of the text.
_STRING_OR_FLOAT: Final = re.compile(
    rb"""
    "[^"\\]*+(?:\\.[^"\\]*+)*+"
    | (?<!\d)-?\d++(?:\.\d++(?:[eE][+-]?\d++)?|[eE][+-]?\d++)
    """,
    re.VERBOSE | re.DOTALL,
)


class WholeNumberDecoder:
    """msgspec's decoder of JSON, which takes 3.0 for an int, too."""

    def __init__(self, payload_type: Any) -> None:
        self.type = payload_type
        self._decode = msgspec.json.Decoder(payload_type).decode

    def decode(self, payload: bytes) -> Any:
        """The value. Raises msgspec.DecodeError if the text is none."""
        try:
            return self._decode(payload)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error) or len(payload) > MOST_BYTES:
                raise
            msgspec.json.decode(payload, type=msgspec.Raw)  # what is no JSON must not become some
            whole = _STRING_OR_FLOAT.sub(_as_whole, payload)
            if whole == payload:
                raise
        return self._decode(whole)


def _as_whole(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    number = float(text)
    return b"%d" % number if number.is_integer() and abs(number) < _LARGEST else text
