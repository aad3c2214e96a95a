"""The problems that calls can be answered with, except those that are errors of the queue.

A route raises it as a `Problem`, and the documentation describes it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from job_service.jobs.state.model import Status


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
NO_SUCH_FILE: Final = Refusal(
    HTTPStatus.NOT_FOUND, "The dashboard has no such file.", "there is no such file"
)
SLOW_BODY: Final = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "The body took too long to arrive.",
    "the body did not come to its end",
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
NOT_READY: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The service is starting or draining.",
    "the service is starting or draining",
    "not-ready",
    retry_after(10),
)
