"""Every problem that a call can be answered with: its status, its kind, its words, its headers.

A route raises it as a `Problem`, and the documentation describes it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from job_service.errors import (
    AlreadyFinished,
    BackupRefused,
    BatchTooLarge,
    GroupConflict,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    JobServiceError,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    StoreUnavailable,
    UnknownGroup,
    UnknownJob,
    UnknownJobType,
    UnknownPredecessor,
    UnknownSchedule,
    UnreadableJob,
    WaitsForJobs,
)
from job_service.jobs.state.model import Status

EXAMPLE_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


class Refusal(NamedTuple):
    """One problem.

    `when` is for the documentation. `detail` is what the client is told, or an example of it.
    `kind` ends the `type`; without it the `type` is about:blank, and the status says it all.
    """

    status: HTTPStatus
    when: str
    detail: str
    kind: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    job_status: Status | UnsetType = UNSET


def retry_after(seconds: int) -> Mapping[str, str]:
    """The header that asks a client to wait so long."""
    return {"Retry-After": str(seconds)}


MALFORMED: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "Something in the request is not as described here.",
    "not a job: Object missing required field `type`",
    "malformed",
)
UNKNOWN_JOB_TYPE: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "No job type has this name.",
    "there is no job type 'telegram'; known are echo, sleep",
    "unknown-job-type",
)
UNKNOWN_PARAMETER: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "The query has a parameter that this call does not know.",
    "unknown query parameter 'verbose'; this call takes none",
    "malformed",
)
REPEATED_HEADER: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "A header is repeated that may come only once.",
    "the header Origin is given more than once",
    "malformed",
)
INVALID_PAYLOAD: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "The payload is not what the job type takes.",
    "Object missing required field `seconds`",
    "invalid-payload",
)
NO_TOKEN: Final = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "The token is missing or wrong.",
    "send a valid token in the header Authorization: Bearer …",
    headers={"WWW-Authenticate": 'Bearer realm="job-service"'},
)
ROLE_TOO_LOW: Final = Refusal(
    HTTPStatus.FORBIDDEN,
    "The token's role does not allow this call.",
    "this call needs the role operate, and your token has the role read",
    "role-too-low",
)
FOREIGN_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN,
    "A browser sent it from a page of another origin, and `--allow-origin` does not name that.",
    "pages of this origin may change nothing here; see --allow-origin",
)
UNKNOWN_JOB: Final = Refusal(
    HTTPStatus.NOT_FOUND,
    "There is no such job, or it ended so long ago that it has been forgotten.",
    f"there is no job {EXAMPLE_ID}, or it is no longer kept",
    "unknown-job",
)
UNKNOWN_GROUP: Final = Refusal(
    HTTPStatus.NOT_FOUND,
    "There is no such group, or it ended so long ago that it has been forgotten.",
    f"there is no group {EXAMPLE_ID}, or it is no longer kept",
    "unknown-group",
)
UNKNOWN_SCHEDULE: Final = Refusal(
    HTTPStatus.NOT_FOUND,
    "No schedule has this name.",
    "there is no schedule 'nightly'; known are refresh",
    "unknown-schedule",
)
NO_SUCH_FILE: Final = Refusal(
    HTTPStatus.NOT_FOUND, "The dashboard has no such file.", "there is no such file"
)
SLOW_BODY: Final = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "The body took too long to arrive.",
    "the body did not come to its end",
)
ALREADY_FINISHED: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job has ended; `job_status` says how.",
    f"job {EXAMPLE_ID} is already completed",
    "already-finished",
    job_status="completed",
)
NOT_FINISHED: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job has not ended yet; `job_status` says what it does.",
    f"job {EXAMPLE_ID} is still processing",
    "not-finished",
    job_status="processing",
)
NOT_PENDING: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job waits no more: it runs, has ended, or is about to start; `job_status` says which.",
    f"job {EXAMPLE_ID} is already processing",
    "not-pending",
    job_status="processing",
)
WAITS_FOR_JOBS: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job can't run now, because it waits for other jobs.",
    f"job {EXAMPLE_ID} waits for other jobs",
    "waits-for-jobs",
    job_status="pending",
)
UNREADABLE_JOB: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job's record can't be read, so the job can only be cancelled.",
    f"job {EXAMPLE_ID} can only be cancelled: its record can't be read: Input data was truncated",
    "unreadable-job",
)
GROUP_CONFLICT: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The group has ended, so it can't be cancelled; or it has no jobs to run again.",
    f"group {EXAMPLE_ID} is already completed",
    "group-conflict",
)
UNKNOWN_PREDECESSOR: Final = Refusal(
    HTTPStatus.CONFLICT,
    "A job in `after` does not exist, or ended so long ago that it has been forgotten.",
    f"there is no job {EXAMPLE_ID} for it to come after",
    "unknown-predecessor",
)
BACKUP_REFUSED: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The jobs can't be copied there: they are in memory, the file is there already, or it can't be "
    "written.",
    "/backup/jobs.db is there already: name a new file",
    "backup-refused",
)
CHANGED: Final = Refusal(
    HTTPStatus.PRECONDITION_FAILED,
    "It has changed since the answer whose `ETag` is in `If-Match`.",
    "it has changed since: its ETag is none of those in If-Match",
)
TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is larger than this call takes.",
    "the body is over 1,048,576 bytes",
)
BATCH_TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The batch is larger than the whole queue, so it would never fit.",
    "1001 jobs never fit: the queue has 1000 places",
    "batch-too-large",
)
NOT_THE_MEDIA_TYPE: Final = Refusal(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "`Content-Type` does not name the media type that this call takes.",
    "send the job as JSON, with the header Content-Type: application/json",
)
NOT_AN_EDIT: Final = NOT_THE_MEDIA_TYPE._replace(
    detail="send what to change as JSON, with the header Content-Type: application/json"
)
NOT_A_BATCH: Final = NOT_THE_MEDIA_TYPE._replace(
    detail="send the jobs as JSON: a line each, with the header "
    "Content-Type: application/x-ndjson, or one array, with Content-Type: application/json"
)
COMPRESSED: Final = Refusal(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The body has a `Content-Encoding`.",
    "send the body as it is, without a Content-Encoding",
    headers={"Accept-Encoding": "identity"},  # RFC 9110, section 15.5.16
)
NOT_A_GROUP: Final = NOT_THE_MEDIA_TYPE._replace(
    detail="send the group as JSON, with the header Content-Type: application/json"
)
NO_HOST: Final = Refusal(
    HTTPStatus.BAD_REQUEST, "The `Host` header is no host.", "the Host header is no host"
)
FOREIGN_HOST: Final = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "The `Host` header does not name this service.",
    "this service is not known by the name in the Host header; see --allow-host",
)
KEY_REUSED: Final = Refusal(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The idempotency key was used before, for another request.",
    "this idempotency key was used for another request",
    "idempotency-key-reused",
)
QUEUE_FULL: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "The queue is full. Try again a little later.",
    "the queue is full: 1000 of 1000 places taken",
    "queue-full",
    retry_after(1),
)
TOO_MANY_UPLOADS: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too much is being uploaded at the same time, and this upload has had the most time. Send it "
    "again, and faster.",
    "too much is being uploaded at the same time; try again, and send it faster",
    "too-many-uploads",
    retry_after(1),
)
BUG: Final = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "A bug of the service. Its log has a line `request_failed`.",
    "a bug of the service; its log says more",
)
DRAINING: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The service is shutting down and takes no more jobs.",
    "the service is draining and takes no more jobs",
    "draining",
    retry_after(10),
)
STORE_UNAVAILABLE: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The store can't keep anything now. Nothing is lost: try again a little later.",
    "the store can't keep anything now",
    "store-unavailable",
    retry_after(5),
)
NOT_READY: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The service is starting or draining.",
    "the service is starting or draining",
    "not-ready",
    retry_after(10),
)

OF_ERRORS: Final[Mapping[type[JobServiceError], Refusal]] = {
    UnknownJobType: UNKNOWN_JOB_TYPE,
    InvalidPayload: INVALID_PAYLOAD,
    InvalidOption: MALFORMED,
    InvalidIdempotencyKey: MALFORMED,
    UnknownJob: UNKNOWN_JOB,
    UnknownGroup: UNKNOWN_GROUP,
    UnknownSchedule: UNKNOWN_SCHEDULE,
    GroupConflict: GROUP_CONFLICT,
    UnknownPredecessor: UNKNOWN_PREDECESSOR,
    AlreadyFinished: ALREADY_FINISHED,
    NotPending: NOT_PENDING,
    WaitsForJobs: WAITS_FOR_JOBS,
    NotFinished: NOT_FINISHED,
    UnreadableJob: UNREADABLE_JOB,
    IdempotencyKeyReused: KEY_REUSED,
    BatchTooLarge: BATCH_TOO_LARGE,
    QueueFull: QUEUE_FULL,
    BackupRefused: BACKUP_REFUSED,
    QueueClosed: DRAINING,
    StoreUnavailable: STORE_UNAVAILABLE,
}
