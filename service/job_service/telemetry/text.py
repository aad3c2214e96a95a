"""Makes text fit to be written: printable whatever it is, and without what deceives a reader."""

import re
from typing import Final

from job_service.failures.exception_groups import is_a
from job_service.failures.names import encodable
from job_service.failures.size import shown

# DEL, C1, and marks that nobody sees: of direction, of lines and paragraphs, of the order of bytes.
# JSON lets all of them pass. To be used in a set of a regular expression.
UNSAFE: Final = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

MOST_VALUES: Final = 10_000  # in a line of the log, with all that they hold
MOST_CHARS: Final = 100_000  # of their texts, together

_DELETE: Final = 0x7F
_UNSAFE: Final = re.compile(f"[{UNSAFE}]")


def printable(value: object) -> str:
    """`value` itself if it is text, else its `repr`, or what it is if that would take long.

    Never raises, and is always valid Unicode.
    """
    try:
        text = value if is_a(value, str) else shown(value, MOST_VALUES, MOST_CHARS)
        return encodable(text)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def one_line(value: object) -> str:
    """`value` as text that neither breaks a line nor controls a terminal."""
    text = printable(value)
    return text if text.isprintable() else repr(text)[1:-1]


def is_safe(line: bytes) -> bool:
    """Whether a quick look shows that nothing in the line needs an escape.

    False for all text that is not ASCII, though most of it needs no escape either.
    """
    return line.isascii() and _DELETE not in line


def escaped(line: bytes) -> bytes:
    """The line with a JSON escape, \\uXXXX, in the place of each unsafe character."""
    if is_safe(line):
        return line
    text = line.decode(errors="surrogateescape")  # a line of a library may be anything
    return _UNSAFE.sub(_escape, text).encode(errors="surrogateescape")


def _escape(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"
