"""Takes from lines what a terminal obeys, or shows in another order than it stands in."""

import re
from typing import Final

# DEL, C1, marks of direction, of lines and paragraphs, and of the order of bytes, which nobody
# sees; for a set in a regular expression. JSON lets all of them pass.
UNSAFE: Final = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

_DELETE = 0x7F
_UNSAFE = re.compile(f"[{UNSAFE}]")


def is_safe(text: bytes) -> bool:
    """Whether a quick look is enough to know that nothing in it needs an escape.

    Text that is not ASCII gets False, though most of it needs none either.
    """
    return text.isascii() and _DELETE not in text


def escaped(line: bytes) -> bytes:
    """The line with an escape of JSON, \\uXXXX, in the place of each such character."""
    if is_safe(line):
        return line
    text = line.decode(errors="surrogateescape")  # a line of a library may be anything
    return _UNSAFE.sub(_escape, text).encode(errors="surrogateescape")


def _escape(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"
