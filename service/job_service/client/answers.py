"""Turns answers into values, and problems (RFC 9457) into the public exceptions."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from job_service.client.exchange import Answer
from job_service.errors import (
    BackupRefused,
    BatchTooLarge,
    GroupConflict,
    IdempotencyKeyReused,
    InvalidOption,
    InvalidPayload,
    JobServiceError,
    QueueClosed,
    QueueFull,
    StoreUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    UnknownGroup,
    UnknownJob,
    UnknownJobType,
    UnknownPredecessor,
    UnknownSchedule,
    Unreachable,
    UnreadableJob,
)
from job_service.jobs.state.detail import JobDetail

ALREADY_FINISHED: Final = "/problems/already-finished"
GROUP_CONFLICT: Final = "/problems/group-conflict"
NOT_FINISHED: Final = "/problems/not-finished"
NOT_PENDING: Final = "/problems/not-pending"
WAITS_FOR_JOBS: Final = "/problems/waits-for-jobs"

_NEXT: Final = re.compile(r'<([^>]*)>; *rel="?next"?')

# Those of jobs that are in the wrong state are not here: their exceptions have the job.
_BY_TYPE: Final[dict[str, type[JobServiceError]]] = {
    "/problems/malformed": InvalidOption,
    "/problems/role-too-low": Unauthorized,
    "/problems/unknown-job-type": UnknownJobType,
    "/problems/invalid-payload": InvalidPayload,
    "/problems/unknown-job": UnknownJob,
    "/problems/unknown-group": UnknownGroup,
    "/problems/unknown-schedule": UnknownSchedule,
    GROUP_CONFLICT: GroupConflict,
    "/problems/unknown-predecessor": UnknownPredecessor,
    "/problems/unreadable-job": UnreadableJob,
    "/problems/backup-refused": BackupRefused,
    "/problems/batch-too-large": BatchTooLarge,
    "/problems/idempotency-key-reused": IdempotencyKeyReused,
    "/problems/queue-full": QueueFull,
    "/problems/too-many-uploads": QueueFull,
    "/problems/draining": QueueClosed,
    "/problems/not-ready": QueueClosed,
    "/problems/store-unavailable": StoreUnavailable,
}
_BY_STATUS: Final[dict[int, type[JobServiceError]]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.REQUEST_TIMEOUT: Unreachable,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BatchTooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: Unreachable,  # by a proxy: the service itself says what it means
    HTTPStatus.BAD_GATEWAY: Unreachable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.GATEWAY_TIMEOUT: Unreachable,
}


class _Detail(JobDetail, frozen=True, kw_only=True):
    """A job as msgspec can read it: of `Raw | None` it takes only null."""

    result: msgspec.Raw = msgspec.Raw()

    def as_detail(self) -> JobDetail:
        """The same, as it was written."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return JobDetail(**fields | {"result": self.result or None})


class Notice(msgspec.Struct, frozen=True):
    """Something out of the ordinary, which came `times` times in short order.

    `event` is its name, and `fields` those of the last time; the first was at `first_at`.
    """

    first_at: datetime
    times: int
    event: str
    fields: dict[str, Any]


class _Notice(msgspec.Struct):
    """Of `GET /notices`."""

    first_at: datetime
    times: int
    event: dict[str, Any]


class Problem(msgspec.Struct, frozen=True):
    """The members of a problem that are for programs, and its words for people."""

    type: str = "about:blank"
    detail: str = ""


def read_job(answer: Answer) -> JobDetail:
    """All of a job. Raises the exception of a problem."""
    job: _Detail = read(answer, _Detail)
    return job.as_detail()


def read(answer: Answer, kind: Any) -> Any:
    """The value of this type in an answer. Raises the exception of a problem."""
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise error_of(answer)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswer(f"its answer is not that of a job service: {error}") from error


def read_notices(answer: Answer) -> list[Notice]:
    """What happened out of the ordinary. Raises the exception of a problem."""
    return [
        Notice(each.first_at, each.times, each.event.get("event", ""), each.event)
        for each in read(answer, list[_Notice])
    ]


def problem_in(answer: Answer) -> Problem:
    """The problem that an answer is; one without a word if it is none."""
    try:
        return msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem()


def error_of(answer: Answer) -> JobServiceError:
    """The exception for an answer that is not what was asked for."""
    problem = problem_in(answer)
    kind = _BY_TYPE.get(problem.type) or _BY_STATUS.get(answer.status) or UnexpectedAnswer
    said = problem.detail or f"it answers {answer.status}, and does not say why"
    if kind is StoreUnavailable:
        return StoreUnavailable(said, retry_after(answer) or 1.0)
    return kind.__new__(kind, said)  # the parameters of some are for those who have more to tell


def next_cursor(answer: Answer) -> str | None:
    """Where the list goes on, as the `Link` header says; None if it is over."""
    link = _NEXT.search(answer.headers.get("link", ""))
    if link is None:
        return None
    return parse_qs(urlsplit(link[1]).query).get("cursor", [None])[0]


def retry_after(answer: Answer) -> float | None:
    """Seconds until the service wants the client back, if it says so in whole seconds."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
