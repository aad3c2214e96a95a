"""Which types a payload may have: those that msgspec or pydantic can make from JSON."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Protocol

from msgspec import Struct, inspect

from job_service.failures.names import full_name_of
from job_service.jobs.registration.pydantic_models import (
    PydanticDecoder,
    is_for_pydantic,
    is_model,
    is_of_pydantic,
)
from job_service.jobs.registration.whole_numbers import WholeNumberDecoder

_WHAT_TO_WRITE = (
    "write a type that msgspec knows, such as str, list, a Struct or a dataclass, and build "
    "yours from it in the handler"
)
_OF_JSON: tuple[object, ...] = (None, True, 1, 1.5, "", [], {})
_NEVER_KEYS = (
    inspect.BoolType,
    inspect.NoneType,
    inspect.CollectionType,
    inspect.TupleType,
    inspect.DictType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
    inspect.NamedTupleType,
    inspect.RawType,
)
_UNHASHABLE = (
    inspect.ListType,
    inspect.SetType,
    inspect.DictType,
    inspect.TypedDictType,
    inspect.ByteArrayType,
)


class PayloadDecoder(Protocol):
    """Makes payloads of `type` from JSON text: msgspec's decoder, or that for pydantic."""

    @property
    def type(self) -> Any:
        """The annotation of the parameter that receives the payload."""

    def decode(self, payload: bytes, /) -> Any:
        """The payload. Raises msgspec.DecodeError if the text is none."""


def decoder_of(payload_type: Any) -> PayloadDecoder:
    """The decoder for payloads of this type.

    Raises TypeError, in one line, if no JSON can ever be such a payload.
    """
    if is_for_pydantic(payload_type):
        return PydanticDecoder(payload_type)
    try:
        decoder = WholeNumberDecoder(payload_type)
        info = inspect.type_info(payload_type)
    except Exception as error:
        problem = " ".join(str(error).split())
        if "custom type" in problem:  # a union may hold one only with None
            problem = f"{problem}: {_WHAT_TO_WRITE}"
        raise TypeError(problem) from error
    finite = set[int]()
    for part in _parts(info):
        if (wrong := _problem(part)) is not None:
            raise TypeError(wrong)
        if not _ends(part, (), finite):
            name = _name(part)
            raise TypeError(
                f"each {name} must hold another {name}: make it optional, as in "
                f"{name} | None = None"
            )
    return decoder


def _parts(info: inspect.Type) -> Iterator[inspect.Type]:
    """The type and all types that are nested in it, each once."""
    waiting: list[object] = [info]
    seen = set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, inspect.Type | inspect.Field) and id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, inspect.Type):
                yield part
            waiting.extend(getattr(part, name) for name in part.__struct_fields__)


def _problem(part: inspect.Type) -> str | None:
    """Why no JSON can be decoded as this type; None if some can."""
    match part:
        case inspect.CustomType(cls=cls) if not _takes_plain_json(cls):
            return f"JSON can't carry {full_name_of(cls)}: {_instead_of(cls)}"
        case inspect.ExtType():
            return "JSON can't carry msgspec.msgpack.Ext: write bytes"
        case inspect.DictType(key_type=key) if isinstance(key, _NEVER_KEYS):
            return f"a JSON key is a string, which {_name(key)} can't be: write dict[str, …]"
        case inspect.SetType(item_type=item) | inspect.FrozenSetType(item_type=item) if (
            not _is_hashable(item)
        ):
            return f"a set can't hold {_name(item)}, which is not hashable: write list[…]"
    return None


def _takes_plain_json(cls: type) -> bool:
    """Whether plain JSON has an instance of it: object has any, Iterable has a list."""
    try:
        return any(isinstance(value, cls) for value in _OF_JSON)
    except TypeError:  # a protocol that isinstance refuses
        return False


def _instead_of(cls: type) -> str:
    if issubclass(cls, PurePath):
        return "write str, and make the path from it in the handler"
    if is_model(cls):
        return "only pydantic can make it, so write a pydantic model instead of what it is in"
    if is_of_pydantic(cls):
        return "models of pydantic 1 are not supported: derive it from the BaseModel of pydantic 2"
    return _WHAT_TO_WRITE


def _ends(part: inspect.Type, around: tuple[int, ...], finite: set[int]) -> bool:
    """Whether a value of this type can end, inside values of the types `around` it.

    The ids of types that can are collected in `finite`.
    """
    if id(part) in around:
        return False
    if id(part) not in finite:
        around = (*around, id(part))
        match part:
            case inspect.UnionType(types=types):
                ends = any(_ends(each, around, finite) for each in types)
            case inspect.TupleType(item_types=items):
                ends = all(_ends(each, around, finite) for each in items)
            case _:
                required = [each.type for each in getattr(part, "fields", ()) if each.required]
                ends = all(_ends(each, around, finite) for each in required)
        if not ends:
            return False
        finite.add(id(part))
    return True


def _is_hashable(item: inspect.Type, around: tuple[int, ...] = ()) -> bool:
    if id(item) in around:
        return True
    around = (*around, id(item))
    match item:
        case inspect.TupleType(item_types=items):
            return all(_is_hashable(each, around) for each in items)
        case inspect.StructType(cls=struct, fields=fields) if struct.__hash__ is Struct.__hash__:
            config = struct.__struct_config__
            of_fields = config.frozen and all(_is_hashable(each.type, around) for each in fields)
            return not config.eq or of_fields
    cls = getattr(item, "cls", None)
    return not isinstance(item, _UNHASHABLE) and (cls is None or cls.__hash__ is not None)


def _name(part: inspect.Type) -> str:
    cls = getattr(part, "cls", None)
    return cls.__qualname__ if cls else f"a {type(part).__name__.removesuffix('Type').lower()}"
