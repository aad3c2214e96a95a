"""Measures values before they are printed, because printing large or deep ones may take seconds."""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import chain, islice
from pathlib import PosixPath, PurePosixPath
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple
from uuid import UUID

from job_service.failures.exception_groups import args_of
from job_service.failures.names import CUT, exact, name_of
from job_service.nesting import MAX_DEPTH

MAX_ITEMS: Final = 1_000
MAX_CHARS: Final = 20_000
_ARGUMENTS: Final = 20
_FEW_DIGITS: Final = Decimal.__sizeof__(Decimal())
_HEAD_CHARS: Final = 100
_MOST_LOOKS: Final = 2_000  # at what is held by objects that print themselves

_TEXTS: Final[tuple[Any, ...]] = (str, bytes, bytearray)
_CONTAINERS: Final[tuple[Any, ...]] = (list, tuple, set, frozenset, deque)
_VIEWS: Final[tuple[type, ...]] = (type({}.keys()), type({}.values()), type({}.items()))
_PRINTED_AS_NAMES: Final = (
    type,
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    ModuleType,
)
# Objects whose class has one of these are printed, or written as JSON, with all that they hold.
_MADE_OF_FIELDS: Final = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__")

# As Python keeps them, even if a metaclass says something else.
_bases: Final = type.__dict__["__mro__"].__get__
_namespace: Final = type.__dict__["__dict__"].__get__
_attributes: Final = BaseException.__dict__["__dict__"].__get__


def fits(
    values: Iterable[object], most_items: int = MAX_ITEMS, most_chars: int = MAX_CHARS
) -> bool:
    """Whether all of them, with all that they hold, can be printed in a few milliseconds.

    Together they may have so many objects and characters, and be nested as deep as JSON. It looks
    at little more than that, and runs no code of theirs. An object that prints itself may hold
    others that do, however many: they are only not to be nested too deeply, as far as can be seen.
    """
    measure = _Measure()
    items = chars = 0
    level = list(islice(values, most_items + 1))
    unsure: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        items += len(level)
        below: list[object] = []
        for value in level:
            kind = _USUAL.get(id(type(value))) or measure.kind_of(value)
            if kind.size is not None:
                chars += kind.size(value)
            elif kind.inside is not None:
                parts = list(islice(kind.inside(value), most_items + 1))
                if kind.may_hide:
                    hidden = [part for part in parts if measure.may_be_hidden(part, value)]
                    unsure += hidden[:_MOST_LOOKS]
                    parts = [part for part in parts if not measure.may_be_hidden(part, value)]
                below += parts
            if items + len(below) > most_items or chars > most_chars:
                return False
        if not below:
            return not unsure or measure.is_shallow(unsure)
        level = below
    return False


def shown(value: object, most_items: int = MAX_ITEMS, most_chars: int = MAX_CHARS) -> str:
    """The value, printed, in so many characters; if it is too large, only its type and length."""
    if fits((value,), most_items, most_chars):
        return exact(repr(value), most_chars)
    return outline_of_one(value)


def outline_of(values: Sequence[object]) -> str:
    """The values, printed as a tuple; of one that is too large, only its type and its length."""
    outlines = [shown(value) for value in values[:_ARGUMENTS]]
    if len(values) > _ARGUMENTS:
        outlines.append(CUT)
    return outlines[0] if len(values) == 1 else f"({', '.join(outlines)})"


def outline_of_one(value: Any) -> str:
    """What stands for a value that is too large: its beginning, or its type and its length."""
    cls = type(value)
    for base in _TEXTS:
        if issubclass(cls, base):
            return repr(base.__getitem__(value, slice(_HEAD_CHARS))) + CUT
    for container in (dict, *_CONTAINERS):
        if issubclass(cls, container):
            return f"<{name_of(cls)} of {container.__len__(value)}>"
    return f"<{name_of(cls)}>"


class _Kind(NamedTuple):
    """How objects of one class are measured: by their size, or else by what is inside of them.

    `may_hide`: it may be printed without some of that. `prints_itself`: only its own code knows.
    """

    size: Callable[[Any], int] | None = None
    inside: Callable[[Any], Iterable[object]] | None = None
    may_hide: bool = False
    prints_itself: bool = False


class _Measure:
    """Looks at each class only once, because most values are of a few classes."""

    def __init__(self) -> None:
        self._kinds: dict[int, _Kind] = {}  # by id: a metaclass may hash and compare as it likes

    def kind_of(self, value: object) -> _Kind:
        """How the value is measured."""
        cls = type(value)
        kind = self._kinds.get(id(cls)) or _USUAL.get(id(cls))
        if kind is None:
            kind = self._kinds[id(cls)] = _kind_of(cls)
        return kind

    def may_be_hidden(self, part: object, whole: object) -> bool:
        """Whether `whole`, which may hide something, may be printed without this part of it."""
        return self.kind_of(part).prints_itself and type(part) is not type(whole)

    def is_shallow(self, values: Sequence[object]) -> bool:
        """Whether what they hold is not nested too deeply, as far as _MOST_LOOKS can tell."""
        seen = set[int]()
        level = values
        for _ in range(MAX_DEPTH + 1):
            new = {id(each): each for each in level if self.kind_of(each).inside is not None}
            level = [each for key, each in new.items() if key not in seen]
            seen |= new.keys()
            if not level or len(seen) > _MOST_LOOKS:
                return True
            parts = (self.kind_of(each).inside(each) for each in level)  # type: ignore[misc]  # all have it
            level = list(islice(chain.from_iterable(parts), _MOST_LOOKS + 1))
        return False


def _kind_of(cls: type) -> _Kind:
    for base, kind in _KNOWN:
        if issubclass(cls, base):
            return kind
    if any(name in _namespace(base) for base in _bases(cls) for name in _MADE_OF_FIELDS):
        return _Kind(inside=_referents)
    if type.__getattribute__(cls, "__repr__") is object.__repr__:  # it says only what it is
        return _Kind()
    return _Kind(inside=_referents, may_hide=True, prints_itself=True)


def _digits(number: int) -> int:
    return int.bit_length(number) // 3


def _decimal_digits(number: Decimal) -> int:
    """At least as many as it has, if it has more than a few dozen: its memory has 19 in 8 bytes."""
    return (Decimal.__sizeof__(number) - _FEW_DIGITS) * 5 // 2


def _keys_and_values(values: dict[object, object]) -> Iterable[object]:
    return chain(dict.keys(values), dict.values(values))


def _arguments_and_attributes(error: BaseException) -> Iterable[object]:
    """Not its traceback, which holds nearly everything."""
    return chain(args_of(error), dict.values(_attributes(error)))


def _referents(value: object) -> Iterable[object]:
    parts = gc.get_referents(value)
    return (part for part in parts if not issubclass(type(part), _PRINTED_AS_NAMES))


_KNOWN: Final[Sequence[tuple[Any, _Kind]]] = (
    *((text, _Kind(size=text.__len__)) for text in _TEXTS),
    (int, _Kind(size=_digits)),
    ((float, type(None), datetime), _Kind()),
    (dict, _Kind(inside=_keys_and_values)),
    *((container, _Kind(inside=container.__iter__)) for container in _CONTAINERS),
    (_VIEWS, _Kind(inside=_referents)),
    (BaseException, _Kind(inside=_arguments_and_attributes, may_hide=True)),
    (_PRINTED_AS_NAMES, _Kind()),
)

# Of these classes themselves, not of those derived from them, all is known beforehand.
_USUAL: Final[dict[int, _Kind]] = {
    id(cls): kind
    for kind, classes in (
        (_Kind(), (UUID, date, datetime, time, timedelta, timezone)),
        (_Kind(size=_decimal_digits), (Decimal,)),
        (_Kind(inside=_referents), (PosixPath, PurePosixPath)),
    )
    for cls in classes
} | {
    id(cls): _kind_of(cls)
    for cls in (*_TEXTS, *_CONTAINERS, dict, int, float, bool, type(None), type)
}
