"""Takes from log lines what a terminal obeys, or shows in another order than it stands in."""

import re

_DELETE = 0x7F

# In UTF-8, what JSON lets pass: DEL, C1, and the marks of direction, lines and paragraphs.
_UNSAFE = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)


def is_safe(text: bytes) -> bool:
    """Whether there is nothing to take; soon seen, and seldom wrong where there is none."""
    return text.isascii() and _DELETE not in text


def escaped(line: bytes) -> bytes:
    """The line with an escape of JSON, \\uXXXX, in the place of each such character."""
    return line if is_safe(line) else _UNSAFE.sub(_escape, line)


def _escape(character: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(character[0].decode())
