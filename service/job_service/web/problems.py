"""Errors as clients see them: `application/problem+json`, RFC 9457, whatever was raised."""

import math
import re
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from msgspec import UNSET, Struct, UnsetType, json
from quart import Quart, Response
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from job_service.errors import (
    AlreadyFinished,
    JobServiceError,
    NotFinished,
    NotPending,
    StoreUnavailable,
    WaitsForJobs,
)
from job_service.jobs.state.model import Status
from job_service.telemetry.text import UNSAFE
from job_service.web.error_refusals import OF_ERRORS
from job_service.web.refusals import (
    BUG,
    MALFORMED,
    Refusal,
    retry_after,
)

PROBLEM_CONTENT_TYPE = "application/problem+json"
MAX_DETAIL_CHARS = 2_000

_NEW_PHRASES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


# A detail may repeat what a client sent, and somebody may read it on a terminal after a JSON parser
# has turned its escapes into characters again.
_UNPRINTABLE = re.compile(rf"[\x00-\x1f\ud800-\udfff{UNSAFE}]")


class ProblemDetails(Struct, frozen=True):
    """The members of RFC 9457, section 3.1, that we use, and one of our own: a job's status."""

    type: str
    title: str
    status: int
    detail: str
    job_status: Status | UnsetType = UNSET


def phrase(status: HTTPStatus) -> str:
    """The name of a status in RFC 9110; Python up to 3.12 has older ones."""
    return _NEW_PHRASES.get(status, status.phrase)


def problem_json(
    status: HTTPStatus,
    detail: str,
    kind: str | None = None,
    job_status: Status | UnsetType = UNSET,
) -> bytes:
    """The body of a problem; without a `kind` the status says it all."""
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
    """Raise it in a route to answer with it; `detail` takes the place of the refusal's own."""

    def __init__(
        self,
        refusal: Refusal,
        detail: str | None = None,
        *,
        job_status: Status | UnsetType = UNSET,
    ) -> None:
        super().__init__(detail or refusal.detail)
        self.refusal = refusal
        self.detail = detail or refusal.detail
        self.job_status = job_status

    def response(self) -> Response:
        """The answer that says it."""
        status, kind = self.refusal.status, self.refusal.kind
        return Response(
            problem_json(status, self.detail, kind, self.job_status),
            status,
            headers=dict(self.refusal.headers),
            content_type=PROBLEM_CONTENT_TYPE,
        )


def malformed(detail: str) -> Problem:
    """What to raise if something in a request is not as it must be."""
    return Problem(MALFORMED, detail)


def problem_of(error: Problem | JobServiceError) -> Problem:
    """What a client gets if the queue, or a route, has raised this."""
    if isinstance(error, Problem):
        return error
    job_status: Status | UnsetType = UNSET
    if isinstance(error, AlreadyFinished | NotFinished | NotPending | WaitsForJobs):
        job_status = error.job.status
    refusal = OF_ERRORS[type(error)]
    if isinstance(error, StoreUnavailable):
        refusal = refusal._replace(headers=retry_after(math.ceil(error.retry_after_seconds)))
    return Problem(refusal, str(error), job_status=job_status)


def install_error_handlers(app: Quart, root_path: str) -> None:
    """Let `app`, which is found at `root_path`, answer every error as a problem."""
    # In the place of the framework's words, which are for people who type addresses into browsers.
    our_words = {
        HTTPStatus.NOT_FOUND: f"there is no such path; see {root_path}/docs",
        BUG.status: BUG.detail,
    }
    app.register_error_handler(HTTPException, partial(_answer_frameworks_error, our_words))
    app.register_error_handler(Problem, _answer_error)
    for kind in OF_ERRORS:
        app.register_error_handler(kind, _answer_error)


async def _answer_error(error: Problem | JobServiceError) -> Response:
    return problem_of(error).response()


async def _answer_frameworks_error(
    our_words: Mapping[HTTPStatus, str], error: HTTPException
) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = our_words.get(status) or error.description or phrase(status)
    headers = {}
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, MemoryError):
        detail = "the service is out of memory; its log says more"
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"this path takes only {allowed}"
        headers["Allow"] = allowed  # RFC 9110, section 15.5.6: a 405 must carry it
    return Problem(Refusal(status, "", detail, headers=headers)).response()
