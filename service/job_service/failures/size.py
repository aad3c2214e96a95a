"""Measures values before they are printed, because printing large ones may take seconds."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, Final, cast

from job_service.failures.exception_groups import args_of
from job_service.failures.names import CUT, exact, name_of

MAX_ITEMS: Final = 1_000
MAX_CHARS: Final = 20_000
_ARGUMENTS: Final = 20
_HEAD_CHARS: Final = 100

_TEXTS: Final[tuple[Any, ...]] = (str, bytes, bytearray)
_CONTAINERS: Final[tuple[Any, ...]] = (list, tuple, dict, set, frozenset, deque)
_NOTHING: Final = ()


def fits(values: Sequence[object]) -> bool:
    """Whether all of them, with all that they hold, can be printed in a few milliseconds.

    It looks at MAX_ITEMS objects at most, and runs no code of theirs.
    """
    items = chars = 0
    waiting = list(values[: MAX_ITEMS + 1])
    while waiting:
        value = waiting.pop()
        items += 1
        chars += _chars_of(value)
        waiting.extend(islice(_inside(value), MAX_ITEMS + 1))
        if items + len(waiting) > MAX_ITEMS or chars > MAX_CHARS:
            return False
    return True


def outline_of(values: Sequence[object]) -> str:
    """The values, printed as a tuple; of one that is too large, only its type and its length."""
    shown = [_outline_of_one(value) for value in values[:_ARGUMENTS]]
    if len(values) > _ARGUMENTS:
        shown.append(CUT)
    return shown[0] if len(values) == 1 else f"({', '.join(shown)})"


def _outline_of_one(value: Any) -> str:
    if fits((value,)):
        return exact(repr(value), MAX_CHARS)
    kind = type(value)
    for base in _TEXTS:
        if issubclass(kind, base):
            return repr(base.__getitem__(value, slice(_HEAD_CHARS))) + CUT
    for container in _CONTAINERS:
        if issubclass(kind, container):
            return f"<{name_of(kind)} of {container.__len__(value)}>"
    return f"<{name_of(kind)}>"


def _chars_of(value: Any) -> int:
    kind = type(value)
    for text in _TEXTS:
        if issubclass(kind, text):
            return cast("int", text.__len__(value))
    return int.bit_length(value) // 3 if issubclass(kind, int) else 0


def _inside(value: Any) -> Iterable[object]:
    """What is printed with it: the items of a container, the arguments of an error, attributes."""
    kind = type(value)
    if kind in (str, int, float, bytes, bool, type(None)):
        return _NOTHING
    if issubclass(kind, dict):
        return chain(dict.keys(value), dict.values(value))
    for container in _CONTAINERS:
        if issubclass(kind, container):
            return cast("Iterable[object]", container.__iter__(value))
    if issubclass(kind, BaseException):
        return args_of(value)
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:  # it has none
        return _NOTHING
    return dict.values(attributes) if issubclass(type(attributes), dict) else _NOTHING
