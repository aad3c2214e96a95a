"""JSON Schemas of structs as they are written; msgspec has those of what it would read."""

from datetime import datetime
from types import UnionType
from typing import Any, Final, get_args

from msgspec import UNSET, Struct, structs

Schema = dict[str, Any]

_IDS: Final = frozenset(
    {
        "id",
        "job_id",
        "last_job_id",
        "retry_of",
        "group",
        "group_id",
        "callback_of",
        "callback_id",
    }
)
_LISTS_OF_IDS: Final = frozenset({"ids", "after"})


def as_written(kind: type[Struct], schema: Schema) -> Schema:
    """The schema of what is written of `kind`; `schema` is that of what msgspec would read.

    A field with a default is either left out or always there, so it is never null.
    """
    omits_defaults = kind.__struct_config__.omit_defaults
    properties, required = {}, []
    for field in structs.fields(kind):
        value = dict(schema["properties"][field.encode_name])
        if "default" in value and value.pop("default") is None:
            value = dict(value["anyOf"][0])
        if datetime in _members(field.type):
            value["format"] = "date-time"
        elif field.name in _IDS:
            value["format"] = "uuid"
        elif field.name in _LISTS_OF_IDS:
            value["items"] = {**value["items"], "format": "uuid"}
        properties[field.encode_name] = value
        if field.required or not (omits_defaults or field.default is UNSET):
            required.append(field.encode_name)
    return {**schema, "properties": properties, "required": required}


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
