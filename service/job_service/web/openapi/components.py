"""JSON Schemas of what the service reads and writes, as msgspec has them."""

from typing import Final

import msgspec
from msgspec import Struct

from job_service.jobs.state.detail import AttemptDetail, JobDetail, JobSummary
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.job_log import AttemptLog, LogLine
from job_service.jobs.state.progress import Progress
from job_service.jobs.state.views import (
    Cancellations,
    MadeReady,
    NodeView,
    QueueView,
    Retries,
    ScheduleView,
    TypeQueue,
    TypeView,
    WorkerView,
)
from job_service.overview import Overview
from job_service.telemetry.events import EVENTS
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.telemetry.notices import Notice
from job_service.telemetry.schemas import Schema, as_written
from job_service.web.edits import JobEdit
from job_service.web.health import Health
from job_service.web.monitoring import Caller
from job_service.web.problems import ProblemDetails
from job_service.web.queue_routes import Backup
from job_service.web.submissions import BatchReceipt

REFERENCE: Final = "#/components/schemas/{name}"


ANSWERS: Final[list[type[Struct]]] = [
    *(JobSummary, JobDetail, AttemptDetail, AttemptLog, LogLine, Progress, BatchReceipt),
    *(
        GroupView,
        Cancellations,
        MadeReady,
        Retries,
        QueueView,
        TypeQueue,
        Backup,
        NodeView,
        TypeView,
    ),
    *(WorkerView, ScheduleView, MetricsSnapshot, Overview, HistoryView, Notice, Caller, Health),
    ProblemDetails,
]


def answer_schemas() -> dict[str, Schema]:
    """The named schemas of all answers of the service."""
    kinds = [*ANSWERS, *EVENTS.values()]
    _, named = msgspec.json.schema_components([*kinds, JobEdit], ref_template=REFERENCE)
    edit = {**named["JobEdit"], "minProperties": 1}
    named = {kind.__name__: as_written(kind, named[kind.__name__]) for kind in kinds}
    named["JobEdit"] = edit
    events_by_name = {name: refer_to(kind.__name__) for name, kind in EVENTS.items()}
    named["Event"] = {
        "title": "Event",
        "description": "What happened: the `data` of an event in the stream, and its log line.",
        "oneOf": list(events_by_name.values()),
        "discriminator": {
            "propertyName": "event",
            "mapping": {name: schema["$ref"] for name, schema in events_by_name.items()},
        },
    }
    named["StreamedEvent"] = {
        "title": "StreamedEvent",
        "description": "One event of the stream; a `reset`, with no fields, if some were lost.",
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


def refer_to(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": REFERENCE.format(name=name)}
