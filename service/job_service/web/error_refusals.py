"""Maps each error of the queue and of its store to the problem that a client gets."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from job_service.errors import (
    AlreadyFinished,
    BackupRefused,
    BatchTooLarge,
    GroupConflict,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    JobChanged,
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
from job_service.web.refusals import CHANGED, MALFORMED, Refusal, retry_after

EXAMPLE_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"

UNKNOWN_JOB_TYPE: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "No job type has this name, or it has no handler here.",
    "there is no job type 'telegram'; known are echo, sleep",
    "unknown-job-type",
)
INVALID_PAYLOAD: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "The payload is not what the job type takes.",
    "Object missing required field `seconds`",
    "invalid-payload",
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
BATCH_TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The batch is larger than the whole queue, so it would never fit.",
    "1001 jobs never fit: the queue has 1000 places",
    "batch-too-large",
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
    JobChanged: CHANGED,
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
