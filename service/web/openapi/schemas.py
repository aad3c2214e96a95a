"""JSON Schemas of what the service reads and writes, as msgspec tells them."""

from datetime import datetime
from types import UnionType
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, structs

from service.jobs.snapshots import AttemptStory, JobStory, JobSummary
from service.telemetry import events
from service.telemetry.metrics import MetricsSnapshot
from service.web.problems import ProblemDetails

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


def event_name(kind: type[events.Event]) -> str:
    """The value of its field `event`."""
    name: str = structs.fields(kind)[2].default
    return name


class WorkerView(Struct, omit_defaults=True, kw_only=True):
    """What one worker does, and since when; the three fields of a job while it is busy."""

    worker_id: str
    state: Literal["idle", "busy"]
    job_id: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    since: datetime


class Health(Struct):
    """The service lives, or is ready."""

    status: Literal["ok"] = "ok"


class BatchReceipt(Struct):
    """The ids of the jobs of a batch, in the order of its lines."""

    ids: list[UUID]


ANSWERS: Final[list[type[Struct]]] = [
    *(JobSummary, JobStory, AttemptStory, BatchReceipt),
    *(WorkerView, MetricsSnapshot, Health, ProblemDetails),
]


def name_schemas(payload_types: list[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each payload type, and the named schemas they and all answers refer to."""
    kinds = [*ANSWERS, *EVENTS]
    schemas, named = msgspec.json.schema_components(
        [*kinds, *payload_types], ref_template=REFERENCE
    )
    for kind, schema in zip(kinds, schemas, strict=False):
        name = schema["$ref"].rpartition("/")[2]
        named[name] = _as_written(kind, named[name])
    events_by_name = {
        event_name(kind): schema
        for kind, schema in zip(EVENTS, schemas[len(ANSWERS) :], strict=False)
    }
    named["Event"] = {
        "title": "Event",
        "description": "The `data` of an event of the stream, which is also its log line.",
        "oneOf": list(events_by_name.values()),
        "discriminator": {
            "propertyName": "event",
            "mapping": {name: schema["$ref"] for name, schema in events_by_name.items()},
        },
    }
    return list(schemas[len(kinds) :]), named


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
        properties[field.encode_name] = value
        if field.required or not (omits_defaults or field.default is UNSET):
            required.append(field.encode_name)
    return {**schema, "properties": properties, "required": required}


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
