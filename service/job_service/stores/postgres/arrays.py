"""Columns of many rows, as PostgreSQL reads arrays: psycopg would take ten times as long.

Whoever writes thousands of rows a second writes most of them in these few functions. So each is
made for what its column has.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

JOINED: Final = "string_to_array(%s, %s, '')"  # an array of texts, from what `joined` gives

_FIRST_SEPARATOR: Final = 0x1E  # which no JSON has, unless whoever wrote it went by no standard
_SURROGATES: Final = 0xD800
_encode: Final = msgspec.json.Encoder().encode


class Joined(NamedTuple):
    """Texts in one, and what is between them."""

    text: str
    separator: str


def plain(values: Sequence[object]) -> str:
    """Numbers, moments, and truth values, which look the same in JSON."""
    return f"{{{_encode(values)[1:-1].decode()}}}"


def texts(values: Sequence[str | None]) -> str:
    """Any texts, or None. They are quoted, which takes longer."""
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def joined(values: Sequence[str]) -> Joined:
    """Texts, none of which is empty; an empty one stands for NULL."""
    for number in range(_FIRST_SEPARATOR, _SURROGATES):
        separator = chr(number)
        text = separator.join(values)
        if text.count(separator) == len(values) - 1:
            return Joined(text, separator)
    raise AssertionError  # no text has all characters


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
