"""Finds lone surrogates: halves of a character, whose escapes JSON may have, but no text.

msgspec says of it that the input is truncated, or that an escape is, which sends users astray.
"""

import re
from typing import Final

import msgspec

_FIRST_HALF: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_SECOND_HALF: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF: Final = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_FIRST_THAT_IS_ALONE: Final = re.compile(
    rb"(?:[^\\]++|%b%b|(?!%b)\\.)*+(%b)" % (_FIRST_HALF, _SECOND_HALF, _HALF, _HALF), re.DOTALL
)


def what_is_wrong(text: bytes, error: Exception) -> str:
    """What `error` says of JSON text that can't be read; better, if half a character is in it."""
    if isinstance(error, msgspec.ValidationError):  # it is about something else
        return str(error)
    found = _FIRST_THAT_IS_ALONE.match(text)
    if found is None:
        return str(error)
    return f"{found[1].decode()} in it is half of a surrogate pair, and no character"
