"""Errors as clients see them: `application/problem+json`, RFC 9457, for whatever was raised."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from msgspec import UNSET, Struct, UnsetType, json
from quart import Quart, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from job_service.errors import (
    AlreadyFinished,
    BatchTooLarge,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    NotFinished,
    QueueClosed,
    QueueFull,
    UnknownJob,
    UnknownJobType,
    UnknownPredecessor,
)
from job_service.jobs.state.model import Status
from job_service.telemetry.escapes import UNSAFE

PROBLEM_CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_FULL_SECONDS = 1
RETRY_AFTER_DRAINING_SECONDS = 10


_NEW_PHRASES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}

MAX_DETAIL_CHARS = 2_000

# A detail may repeat what a client sent, and somebody will read it on a terminal. In a line, JSON
# itself escapes controls, and takes no half characters; but this is the text behind it.
_UNPRINTABLE = re.compile(rf"[\x00-\x1f\ud800-\udfff{UNSAFE}]")


class ProblemDetails(Struct, frozen=True):
    """The members of RFC 9457, section 3.1, that we use, and one of our own: a job's status."""

    type: str
    title: str
    status: int
    detail: str
    job_status: Status | UnsetType = UNSET


def phrase(status: HTTPStatus) -> str:
    """The name of a status as RFC 9110 has it; Python's own are older, up to its version 3.12."""
    return _NEW_PHRASES.get(status, status.phrase)


def problem_json(
    status: HTTPStatus,
    detail: str,
    kind: str | None = None,
    job_status: Status | UnsetType = UNSET,
) -> bytes:
    """The body that tells a problem; without a `kind` the status is all there is to it."""
    if kind is None:
        problem_type, title = "about:blank", phrase(status)  # RFC 9457, section 4.2.1
    else:
        problem_type, title = f"/problems/{kind}", kind.replace("-", " ").capitalize()
    shown = _UNPRINTABLE.sub(_escape, detail[:MAX_DETAIL_CHARS])
    if len(detail) > MAX_DETAIL_CHARS:
        shown += "…"
    return json.encode(ProblemDetails(problem_type, title, int(status), shown, job_status))


def _escape(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


class Problem(Exception):
    """Raise it in a route to answer with it. `kind` names the problem in the `type` member."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        job_status: Status | UnsetType = UNSET,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers
        self.job_status = job_status

    def response(self) -> Response:
        """The answer that tells it."""
        return Response(
            problem_json(self.status, self.detail, self.kind, self.job_status),
            self.status,
            headers=dict(self.headers or {}),
            content_type=PROBLEM_CONTENT_TYPE,
        )


def malformed(detail: str) -> Problem:
    """What to raise where something in a request is not as it must be."""
    return Problem(HTTPStatus.BAD_REQUEST, detail, kind="malformed")


def bad_query(parameter: str, wanted: str) -> Problem:
    """What to raise where a query parameter is not what it must be."""
    return malformed(f"{parameter} must be {wanted}")


_PROBLEM_OF: Final[dict[type[Exception], tuple[HTTPStatus, str, dict[str, str]]]] = {
    UnknownJobType: (HTTPStatus.BAD_REQUEST, "unknown-job-type", {}),
    InvalidPayload: (HTTPStatus.BAD_REQUEST, "invalid-payload", {}),
    InvalidOption: (HTTPStatus.BAD_REQUEST, "malformed", {}),
    UnknownPredecessor: (HTTPStatus.CONFLICT, "unknown-predecessor", {}),
    UnknownJob: (HTTPStatus.NOT_FOUND, "unknown-job", {}),
    AlreadyFinished: (HTTPStatus.CONFLICT, "already-finished", {}),
    NotFinished: (HTTPStatus.CONFLICT, "not-finished", {}),
    InvalidIdempotencyKey: (HTTPStatus.BAD_REQUEST, "malformed", {}),
    IdempotencyKeyReused: (HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", {}),
    BatchTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "batch-too-large", {}),
    QueueFull: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "queue-full",
        {"Retry-After": str(RETRY_AFTER_FULL_SECONDS)},
    ),
    QueueClosed: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "draining",
        {"Retry-After": str(RETRY_AFTER_DRAINING_SECONDS)},
    ),
}


# What the framework says is made for people who type addresses into browsers.
_OUR_WORDS: Final = {
    HTTPStatus.NOT_FOUND: "there is no such path; see /docs",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a bug of the service; its log says more",
}


def install_error_handlers(app: Quart) -> None:
    """Let `app` answer every error as a problem, its own and its framework's."""
    app.register_error_handler(Problem, _tell)
    app.register_error_handler(HTTPException, _tell_frameworks_error)
    for error in _PROBLEM_OF:
        app.register_error_handler(error, _tell_queues_error)


async def _tell(problem: Problem) -> Response:
    return problem.response()


async def _tell_queues_error(error: Exception) -> Response:
    status, kind, headers = _PROBLEM_OF[type(error)]
    job_status: Status | UnsetType = UNSET
    if isinstance(error, AlreadyFinished | NotFinished):
        job_status = error.job.status
    return Problem(status, str(error), kind=kind, headers=headers, job_status=job_status).response()


async def _tell_frameworks_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = _OUR_WORDS.get(status) or error.description or phrase(status)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"this path takes only {allowed}"
        headers["Allow"] = allowed  # RFC 9110, section 15.5.6: a 405 must carry it
    return Problem(status, detail, headers=headers).response()
