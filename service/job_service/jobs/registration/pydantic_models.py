"""Payloads and results that are pydantic models, if a program has any: pydantic is not needed."""

import inspect
import sys
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from job_service.failures.names import full_name_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_SHOWN_ERRORS = 5
_MODULES = ("pydantic", "annotated_types")


class PydanticDecoder:
    """Makes payloads of `type` as pydantic does, in the place of a decoder of msgspec's.

    Raises TypeError, in one line, if pydantic does not know the type.
    """

    def __init__(self, payload_type: Any) -> None:
        import pydantic

        try:
            self.adapter: TypeAdapter[Any] = pydantic.TypeAdapter(payload_type)
        except pydantic.errors.PydanticUserError as error:
            raise TypeError(str(error).partition("\n")[0]) from error
        self.type = payload_type

    def decode(self, payload: bytes) -> Any:
        """The payload. Raises msgspec.DecodeError, which says what is wrong with it, and where."""
        import pydantic

        msgspec.json.decode(payload, type=msgspec.Raw)  # pydantic takes NaN for JSON
        try:
            return self.adapter.validate_json(payload)
        except pydantic.ValidationError as error:
            raise msgspec.ValidationError(_told(error)) from error


def is_for_pydantic(annotation: Any) -> bool:
    """Whether it is a model of pydantic 2, has one in it, or has constraints of pydantic's."""
    if "pydantic" not in sys.modules:  # as in most programs
        return False
    if inspect.isclass(annotation) and is_model(annotation):
        return True
    notes = getattr(annotation, "__metadata__", ())
    return any(type(note).__module__.partition(".")[0] in _MODULES for note in notes) or any(
        map(is_for_pydantic, get_args(annotation))
    )


def is_model(cls: type) -> bool:
    """Whether pydantic 2 has made a validator for this class: a model's, or a dataclass's."""
    return "__pydantic_validator__" in vars(cls)


def is_of_pydantic(cls: type) -> bool:
    """Whether it derives from a class of pydantic's, of whichever version."""
    return any(base.__module__.partition(".")[0] == "pydantic" for base in cls.__mro__)


def written_by_pydantic(value: object) -> msgspec.Raw:
    """Called by msgspec with what it can't write: a model as JSON, by its aliases.

    Raises TypeError if it is no model.
    """
    return _written(value)


def written_to_be_read(value: object) -> msgspec.Raw:
    """The same, but only what the model itself takes: none of its computed fields."""
    return _written(value, round_trip=True)


def _written(value: object, **how: bool) -> msgspec.Raw:
    if not is_model(type(value)):
        raise TypeError(f"JSON can't carry {full_name_of(type(value))}")
    return msgspec.Raw(type(value).__pydantic_serializer__.to_json(value, by_alias=True, **how))  # type: ignore[attr-defined]  # a model has it


def _told(error: "ValidationError") -> str:
    """All that is wrong, each with its place, as msgspec tells it."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{each['msg']}{_place(each['loc'])}" for each in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        told.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return "; ".join(told)


def _place(path: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f" - at `${''.join(steps)}`" if path else ""
