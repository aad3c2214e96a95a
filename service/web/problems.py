"""Errors as clients see them: `application/problem+json`, RFC 9457, for whatever was raised."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from service.jobs.queue import QueueClosed, QueueFull, UnknownJob
from service.jobs.registry import InvalidPayload, UnknownJobType

PROBLEM_CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_FULL_SECONDS = 1
RETRY_AFTER_DRAINING_SECONDS = 10


class ProblemDetails(msgspec.Struct, frozen=True):
    """The members of RFC 9457, section 3.1, that we use."""

    type: str
    title: str
    status: int
    detail: str


def problem_json(status: HTTPStatus, detail: str, kind: str | None = None) -> bytes:
    """The body that tells a problem; without a `kind` the status is all there is to it."""
    if kind is None:
        problem_type, title = "about:blank", status.phrase  # RFC 9457, section 4.2.1
    else:
        problem_type, title = f"/problems/{kind}", kind.replace("-", " ").capitalize()
    return msgspec.json.encode(ProblemDetails(problem_type, title, int(status), detail))


class Problem(Exception):
    """Raise it in a route to answer with it. `kind` names the problem in the `type` member."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers

    def response(self) -> Response:
        """The answer that tells it."""
        return Response(
            problem_json(self.status, self.detail, self.kind),
            self.status,
            headers=dict(self.headers or {}),
            content_type=PROBLEM_CONTENT_TYPE,
        )


def install_error_handlers(app: Quart) -> None:
    """Let `app` answer every error as a problem, its own and its framework's."""

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.response()

    @app.errorhandler(UnknownJobType)
    async def unknown_job_type(error: UnknownJobType) -> Response:
        return Problem(HTTPStatus.BAD_REQUEST, str(error), kind="unknown-job-type").response()

    @app.errorhandler(InvalidPayload)
    async def invalid_payload(error: InvalidPayload) -> Response:
        return Problem(HTTPStatus.BAD_REQUEST, str(error), kind="invalid-payload").response()

    @app.errorhandler(UnknownJob)
    async def unknown_job(error: UnknownJob) -> Response:
        return Problem(HTTPStatus.NOT_FOUND, str(error), kind="unknown-job").response()

    @app.errorhandler(QueueFull)
    async def queue_full(error: QueueFull) -> Response:
        return Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            str(error),
            kind="queue-full",
            headers={"Retry-After": str(RETRY_AFTER_FULL_SECONDS)},
        ).response()

    @app.errorhandler(QueueClosed)
    async def queue_closed(error: QueueClosed) -> Response:
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            str(error),
            kind="draining",
            headers={"Retry-After": str(RETRY_AFTER_DRAINING_SECONDS)},
        ).response()

    @app.errorhandler(HTTPException)
    async def framework_error(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        response = Problem(status, error.description or status.phrase).response()
        for name, value in error.get_headers():
            if name == "Allow":  # RFC 9110, section 15.5.6: a 405 must carry it
                response.headers[name] = value
        return response
