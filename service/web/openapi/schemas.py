"""JSON Schemas of what the service reads and writes, as msgspec tells them."""

from datetime import datetime
from types import UnionType
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, structs

from service.jobs.snapshots import (
    AttemptStory,
    Cancellations,
    JobStory,
    JobSummary,
    QueueView,
    TypeView,
    WorkerView,
)
from service.telemetry import events
from service.telemetry.metrics import MetricsSnapshot
from service.web.problems import ProblemDetails
from service.web.submissions import BatchReceipt

REFERENCE: Final = "#/components/schemas/{name}"

Schema = dict[str, Any]

EVENTS: Final[list[type[events.Event]]] = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type)
    and issubclass(kind, events.Event)
    and structs.fields(kind)[2].default is not NODEFAULT  # or it is a base of others
]

_IDS: Final = frozenset({"id", "job_id", "retry_of"})
_LISTS_OF_IDS: Final = frozenset({"ids", "after"})


def event_name(kind: type[events.Event]) -> str:
    """The value of its field `event`."""
    name: str = structs.fields(kind)[2].default
    return name


class Health(Struct):
    """The service lives, or is ready."""

    status: Literal["ok"] = "ok"


ANSWERS: Final[list[type[Struct]]] = [
    *(JobSummary, JobStory, AttemptStory, BatchReceipt),
    *(Cancellations, QueueView, TypeView),
    *(WorkerView, MetricsSnapshot, Health, ProblemDetails),
]


def answer_schemas() -> dict[str, Schema]:
    """The named schemas of all that the service answers."""
    kinds = [*ANSWERS, *EVENTS]
    _, named = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    named = {kind.__name__: _as_written(kind, named[kind.__name__]) for kind in kinds}
    events_by_name = {event_name(kind): refer_to(kind.__name__) for kind in EVENTS}
    named["Event"] = {
        "title": "Event",
        "description": "What happened: the `data` of an event of the stream, and its log line.",
        "oneOf": list(events_by_name.values()),
        "discriminator": {
            "propertyName": "event",
            "mapping": {name: schema["$ref"] for name, schema in events_by_name.items()},
        },
    }
    named["StreamedEvent"] = {
        "title": "StreamedEvent",
        "description": "One event of the stream; `reset`, with no fields, where some were lost.",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "event": {"type": "string", "enum": [*events_by_name, "reset"]},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {
                    "anyOf": [
                        refer_to("Event"),
                        {"type": "object", "maxProperties": 0},
                    ]
                },
            },
            "retry": {"type": "integer", "description": "Milliseconds to wait before coming back."},
        },
        "required": ["event", "data"],
    }
    return named


def payload_schemas(payload_types: list[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each payload type, and the named schemas they refer to.

    Their names begin with `payload.`, so that no type of an application is taken for one of ours.
    """
    schemas, named = msgspec.json.schema_components(
        payload_types, ref_template=REFERENCE.format(name="payload.{name}")
    )
    return list(schemas), {f"payload.{name}": schema for name, schema in named.items()}


def refer_to(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": REFERENCE.format(name=name)}


def _as_written(kind: type[Struct], schema: Schema) -> Schema:
    """msgspec tells what it would read; what it writes is narrower.

    What has its default is left out or always there, and so is never null.
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
