"""What calls can be asked with: names in their paths, and their queries and headers, a struct each.

The routes read requests themselves; these structs only tell what they take.
"""

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from job_service.jobs.state.model import Status
from job_service.telemetry.events import EVENTS
from job_service.telemetry.schemas import Schema
from job_service.web.dashboard.pages import FILES
from job_service.web.job_routes import DEFAULT_PAGE, MAX_PAGE, MAX_WAIT_SECONDS

# Bare, or a string of RFC 8941; either way 1 to 255 visible characters.
IDEMPOTENCY_KEY_PATTERN: Final = r'^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$'

StatusNow = Annotated[Status, Meta(description="Only jobs that have this status now.")]
TypeName = Annotated[str, Meta(description="Only jobs of this type.")]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="At most this many jobs in one answer.")]
Cursor = Annotated[
    UUID,
    Meta(description="Where the page begins, as the `Link` header of the one before tells."),
]
Order = Annotated[
    Literal["oldest", "newest"],
    Meta(description="Which end to start from. A cursor goes on in the order that it is from."),
]
Wait = Annotated[
    float,
    Meta(
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Answer when the job has ended, or else after this many seconds.",
    ),
]
JobIds = Annotated[
    list[UUID],
    Meta(
        min_length=1,
        description="Only events of these jobs. Repeat it, or separate ids with commas.",
    ),
]
EventName = Annotated[str, Meta(extra_json_schema={"enum": [*EVENTS]})]
EventNames = Annotated[
    list[EventName],
    Meta(
        min_length=1,
        description="Only these events. Repeat it, or separate names with commas.",
    ),
]
IdempotencyKey = Annotated[
    str,
    Meta(
        pattern=IDEMPOTENCY_KEY_PATTERN,
        description=(
            "A name of the client's choice for this request, 1 to 255 visible ASCII characters, "
            "bare or as a quoted string. Sent again with the same body it makes nothing anew, "
            "and is answered with the same job again."
        ),
    ),
]
KnownVersion = Annotated[
    str, Meta(description="The `ETag` of an earlier answer: 304 where nothing has changed.")
]
ExpectedVersion = Annotated[
    str, Meta(description="The `ETag` of an earlier answer: 412 where it has changed since.")
]
LastEventId = Annotated[
    str, Meta(description="The id of the last event seen: the stream goes on with what came next.")
]


# What is in the paths.
IN_PATHS: Final[dict[str, Schema]] = {
    "job_id": {"type": "string", "format": "uuid"},
    "name": {"type": "string", "enum": sorted(FILES)},
}


class JobListQuery(Struct):
    """Of `GET /jobs`."""

    status: StatusNow | UnsetType = UNSET
    type: TypeName | UnsetType = UNSET
    order: Order = "oldest"
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | UnsetType = UNSET


class CancelJobsQuery(Struct):
    """Of `POST /jobs/cancel`."""

    type: Annotated[str, Meta(description="The type whose jobs to cancel.")]
    status: (
        Annotated[
            Literal["pending", "processing"],
            Meta(description="Only those that have this status."),
        ]
        | UnsetType
    ) = UNSET


class QueueQuery(Struct):
    """Of `POST /queue/pause` and `POST /queue/resume`."""

    type: Annotated[str, Meta(description="Only jobs of this type.")] | UnsetType = UNSET


class JobQuery(Struct):
    """Of `GET /jobs/{job_id}`."""

    wait: Wait | UnsetType = UNSET


class EventsQuery(Struct):
    """Of `GET /events`."""

    job_id: JobIds | UnsetType = UNSET
    event: EventNames | UnsetType = UNSET


class SubmissionHeaders(Struct):
    """Of the calls that make jobs."""

    idempotency_key: IdempotencyKey | UnsetType = field(default=UNSET, name="Idempotency-Key")


class ReadHeaders(Struct):
    """Of the calls whose answer has an `ETag`."""

    if_match: ExpectedVersion | UnsetType = field(default=UNSET, name="If-Match")
    if_none_match: KnownVersion | UnsetType = field(default=UNSET, name="If-None-Match")


class CancelHeaders(Struct):
    """Of `POST /jobs/{job_id}/cancel`."""

    if_match: ExpectedVersion | UnsetType = field(default=UNSET, name="If-Match")


class RetryHeaders(SubmissionHeaders):
    """Of `POST /jobs/{job_id}/retry`."""

    if_match: ExpectedVersion | UnsetType = field(default=UNSET, name="If-Match")


class EventsHeaders(Struct):
    """Of `GET /events`."""

    last_event_id: LastEventId | UnsetType = field(default=UNSET, name="Last-Event-ID")
