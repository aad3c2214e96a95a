"""The events as documentation, for people as a table and for programs as JSON Schema."""

from datetime import datetime
from textwrap import fill
from types import UnionType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from msgspec import Raw, UnsetType, json
from msgspec.structs import FieldInfo, fields

from job_service.telemetry.events import EVENTS, Event
from job_service.telemetry.schemas import as_written

_HEAD: Final = """\
Each line begins with timestamp, level and event. Fields in [brackets] are there only if they
apply."""

_REFERENCE: Final = "#/$defs/{name}"
_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "seconds",
    datetime: "time",
    Raw: "object",
}


def table() -> str:
    """Every event with its level, its meaning, and its fields with their types."""
    return "\n\n".join([_HEAD, *(_entry(name, kind) for name, kind in EVENTS.items())])


def schema() -> str:
    """The JSON Schema of a log line that is an event.

    Lines that handlers write with `job.log` are not covered. They have other names, and the fields
    that the handler chose.
    """
    logged = [kind for kind in EVENTS.values() if kind.logged]
    references, named = json.schema_components(logged, ref_template=_REFERENCE)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A log line of the job service",
        "oneOf": references,
        "$defs": {kind.__name__: as_written(kind, named[kind.__name__]) for kind in logged},
    }
    return json.format(json.encode(document)).decode()


def _entry(name: str, kind: type[Event]) -> str:
    _, level, _, *own = fields(kind)
    kept = "" if kind.logged else ", in the stream of events only"
    meaning = " ".join((kind.__doc__ or "").split())
    return "\n".join(
        [
            f"{name} ({level.default}{kept})",
            fill(meaning, 96, initial_indent="  ", subsequent_indent="  "),
            *(f"    {_label(field):22}{_type_words(field.type)}" for field in own),
        ]
    )


def _label(field: FieldInfo) -> str:
    return field.name if field.required else f"[{field.name}]"


def _type_words(annotation: Any) -> str:
    if isinstance(annotation, UnionType):
        members = [member for member in get_args(annotation) if member is not UnsetType]
        return " or ".join(map(_type_words, members))
    if get_origin(annotation) is Annotated:
        return _type_words(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(get_args(annotation))
    if get_origin(annotation) in (list, tuple):
        return f"list of {_type_words(get_args(annotation)[0])}"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
