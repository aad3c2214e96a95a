"""How deep JSON may be nested: all that read or write it recurse, and stacks have an end."""

from itertools import accumulate
from typing import Final

MAX_DEPTH: Final = 500  # which msgspec reads and writes on a stack of 256 KiB, on every Python
TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} deep"

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # signed bytes: 1 and -1
_OTHERS: Final = bytes(set(range(256)) - set(b'"[]{}'))


def is_too_deep(text: bytes, max_depth: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects in this JSON text are nested more than `max_depth` deep.

    It may be asked before anybody has read the text: of what is no JSON, it sees all that a reader
    would come to. Text without that many brackets costs next to nothing.
    """
    if text.count(b"[") + text.count(b"{") <= max_depth:
        return False
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    # Most strings have no brackets in them; what is left between every other two quotes has.
    brackets = without_escapes.translate(None, _OTHERS).replace(b'""', b"")
    outside_of_strings = b"".join(brackets.split(b'"')[::2])
    steps = memoryview(outside_of_strings.translate(_STEPS)).cast("b")
    return max(accumulate(steps), default=0) > max_depth
