"""How deep JSON may be nested: readers and writers recurse, and their stacks are limited."""

from itertools import accumulate
from typing import Final

MAX_DEPTH: Final = 500  # msgspec reads and writes it on a stack of 256 KiB, on every Python
TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} deep"

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # signed bytes: 1 and -1
_OTHERS: Final = bytes(set(range(256)) - set(b'"[]{}'))


def is_too_deep(text: bytes, max_depth: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects in this JSON text are nested more than `max_depth` deep.

    The text need not be valid JSON: it counts all levels that a reader would enter before it finds
    the mistake. Text that is short, or has few brackets, costs next to nothing.
    """
    if len(text) <= max_depth or text.count(b"[") + text.count(b"{") <= max_depth:
        return False
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    # A string without brackets is only a pair of quotes now, and goes. In what is left, every
    # second piece between quotes is inside a string.
    brackets = without_escapes.translate(None, _OTHERS).replace(b'""', b"")
    outside_of_strings = b"".join(brackets.split(b'"')[::2])
    steps = memoryview(outside_of_strings.translate(_STEPS)).cast("b")
    return max(accumulate(steps), default=0) > max_depth
