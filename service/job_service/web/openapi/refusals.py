"""Every problem that a call can be answered with, by the name that ends its `type`."""

from http import HTTPStatus
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from job_service.jobs.state.model import Status
from job_service.web.problems import RETRY_AFTER_FULL_SECONDS


class Refusal(NamedTuple):
    """One problem. Without a kind its `type` is about:blank, and the status is all there is."""

    status: HTTPStatus
    when: str
    detail: str
    kind: str | None = None
    headers: tuple[str, ...] = ()
    job_status: Status | UnsetType = UNSET


_JOB: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_WAITS: Final = ("Retry-After",)

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
    "It has a query parameter that this call does not know.",
    "unknown query parameter 'verbose'; this call takes none",
    "malformed",
)
REPEATED_HEADER: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "A header that may come once comes twice.",
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
    headers=("WWW-Authenticate",),
)
FOREIGN_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN,
    "A browser sent it for a page of another origin, which is not allowed here.",
    "pages of this origin may change nothing here; see --allow-origin",
)
UNKNOWN_JOB: Final = Refusal(
    HTTPStatus.NOT_FOUND,
    "There is no such job, or it ended so long ago that it has been forgotten.",
    f"there is no job {_JOB}, or it is no longer kept",
    "unknown-job",
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
    "The job has ended; `job_status` tells how.",
    f"job {_JOB} is already completed",
    "already-finished",
    job_status="completed",
)
NOT_FINISHED: Final = Refusal(
    HTTPStatus.CONFLICT,
    "The job has not ended yet; `job_status` tells where it is.",
    f"job {_JOB} is still processing",
    "not-finished",
    job_status="processing",
)
UNKNOWN_PREDECESSOR: Final = Refusal(
    HTTPStatus.CONFLICT,
    "A job named in `after` does not exist, or ended so long ago that it has been forgotten.",
    f"there is no job {_JOB} for it to come after",
    "unknown-predecessor",
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
    "The queue has fewer places than the batch has jobs, so that they would never fit.",
    "1001 jobs never fit: the queue has 1000 places",
    "batch-too-large",
)
NOT_THE_MEDIA_TYPE: Final = Refusal(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The body is not said to be of the media type that this call takes, or said to be compressed.",
    "send the job as JSON, with the header Content-Type: application/json",
    headers=("Accept-Encoding",),
)
FOREIGN_HOST: Final = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "The request is for a host that this service does not answer for.",
    "this service is not known by the name in the Host header; see --allow-host",
)
KEY_REUSED: Final = Refusal(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The idempotency key was used before, with another request.",
    "this idempotency key was used for another request",
    "idempotency-key-reused",
)
QUEUE_FULL: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "As many jobs wait as may. Try again a little later.",
    "the queue is full: 1000 of 1000 places taken",
    "queue-full",
    _WAITS,
)
TOO_MANY_UPLOADS: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "Bodies that come in at the same time are too large together, and this one began before "
    "others. Send it again, and faster.",
    "too much is being uploaded at the same time; try again, and send it faster",
    "too-many-uploads",
    _WAITS,
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
    _WAITS,
)
NOT_READY: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The service is starting or draining.",
    "the service is starting or draining",
    "not-ready",
    _WAITS,
)

HEADERS: Final[dict[str, tuple[str, dict[str, object], str | int]]] = {
    "Accept-Encoding": (
        "There if it is the `Content-Encoding` that is not taken: which one is.",
        {"const": "identity"},
        "identity",
    ),
    "ETag": (
        "The version of what was answered, for `If-None-Match` and `If-Match`.",
        {"type": "string"},
        '"6b86b273ff34fce1"',
    ),
    "Idempotent-Replayed": (
        "There where the answer is that of an earlier request with the same key.",
        {"const": "true"},
        "true",
    ),
    "Link": (
        'The next page, `rel="next"`, where there is one.',
        {"type": "string"},
        f'</jobs?limit=100&cursor={_JOB}>; rel="next"',
    ),
    "Location": (
        "Where the job can be read.",
        {"type": "string", "format": "uri-reference"},
        f"/jobs/{_JOB}",
    ),
    "Retry-After": (
        "Seconds until it is worth another try.",
        {"type": "integer", "minimum": 0},
        RETRY_AFTER_FULL_SECONDS,
    ),
    "WWW-Authenticate": (
        "The scheme to authenticate with.",
        {"type": "string"},
        'Bearer realm="job-service"',
    ),
}
