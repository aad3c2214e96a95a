"""Every call of the API that a client makes, each as a conversation."""

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from job_service.client.answers import (
    ALREADY_FINISHED,
    NOT_FINISHED,
    NOT_PENDING,
    WAITS_FOR_JOBS,
    next_cursor,
    problem_in,
    read,
    read_job,
)
from job_service.client.exchange import Answer, Conversation, Request
from job_service.client.filters import query_of
from job_service.client.patience import answered
from job_service.errors import (
    AlreadyFinished,
    InvalidOption,
    NotFinished,
    NotPending,
    QueueFull,
    UnexpectedAnswer,
    WaitsForJobs,
)
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobPage
from job_service.jobs.state.model import TERMINAL
from job_service.jobs.state.views import (
    Cancellations,
    MadeReady,
    QueueView,
    Retries,
    TypeView,
    WorkerView,
)
from job_service.telemetry.metrics import MetricsSnapshot

LONGEST_POLL_SECONDS: Final = 30.0  # of the 60 that the service allows, as proxies cut longer ones
LONGEST_PAUSE_SECONDS: Final = 1.0


class Calls:
    """The calls of one client, on its terms.

    `patience_seconds` is how long a call is repeated in all, and `timeout_seconds` how long the
    service may take for an answer that needs no waiting.
    """

    def __init__(self, patience_seconds: float, timeout_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._timeout_seconds = timeout_seconds

    def submit(
        self, job_type: str, payload: object, key: str | None, options: JobOptions
    ) -> Conversation[JobSummary]:
        """`POST /jobs`."""
        body = submission_json(job_type, payload, options)
        return self._read(self._post("/jobs", body, key or new_key()), JobSummary)

    def submit_and_wait(
        self,
        job_type: str,
        payload: object,
        seconds: float | None,
        key: str | None,
        options: JobOptions,
    ) -> Conversation[JobDetail]:
        """`POST /jobs?wait=`, and then `GET /jobs/{job_id}?wait=` until it has ended."""
        body = submission_json(job_type, payload, options)
        left = math.inf if seconds is None else seconds
        wait = min(left, LONGEST_POLL_SECONDS)
        answer = yield from self._ask(
            self._post("/jobs", body, key or new_key(), {"wait": number_text(wait)}, wait)
        )
        job: JobSummary
        try:
            job = read_job(answer)
        except UnexpectedAnswer:  # it is no longer kept, and the next call says so
            job = read(answer, JobSummary)
        left -= answer.seconds
        if isinstance(job, JobDetail) and (job.status in TERMINAL or left <= 0):
            return job
        return (yield from self.wait(job.id, max(left, 0.0)))

    def retry(self, job_id: str, key: str | None) -> Conversation[JobSummary]:
        """`POST /jobs/{job_id}/retry`."""
        request = self._post(f"{_path(job_id)}/retry", None, key or new_key())
        answer = yield from self._ask(request)
        if problem_in(answer).type == NOT_FINISHED:
            raise NotFinished((yield from self.get(job_id)))
        job: JobSummary = read(answer, JobSummary)
        return job

    def run_now(self, job_id: str) -> Conversation[JobDetail]:
        """`POST /jobs/{job_id}/run-now`."""
        answer = yield from self._ask(self._post(f"{_path(job_id)}/run-now"))
        if problem_in(answer).type == NOT_PENDING and answer.may_be_second:
            return (yield from self.get(job_id))  # it runs because of the first request
        return (yield from self._pending(job_id, answer))

    def edit(
        self, job_id: str, run_at: datetime | None, priority: int | None, payload: object
    ) -> Conversation[JobDetail]:
        """`PATCH /jobs/{job_id}`."""
        body = edit_json(run_at, priority, payload)
        answer = yield from self._ask(replace(self._post(_path(job_id), body), method="PATCH"))
        return (yield from self._pending(job_id, answer))

    def _pending(self, job_id: str, answer: Answer) -> Conversation[JobDetail]:
        """The job that waits. Raises the exception of a problem."""
        if problem_in(answer).type == NOT_PENDING:
            raise NotPending((yield from self.get(job_id)))
        if problem_in(answer).type == WAITS_FOR_JOBS:
            raise WaitsForJobs((yield from self.get(job_id)))
        return read_job(answer)

    def cancel(self, job_id: str) -> Conversation[JobDetail]:
        """`POST /jobs/{job_id}/cancel`."""
        answer = yield from self._ask(self._post(f"{_path(job_id)}/cancel"))
        if problem_in(answer).type == ALREADY_FINISHED:
            job = yield from self.get(job_id)
            if job.status == "cancelled" and answer.may_be_second:
                return job  # by the first request, whose answer was lost
            raise AlreadyFinished(job)
        return read_job(answer)

    def cancel_all(self, filters: JobFilters) -> Conversation[Cancellations]:
        """`POST /jobs/cancel`, portion by portion."""
        cancelled = interrupted = 0
        after: str | None = None
        while True:
            request = self._post("/jobs/cancel", query=query_of(filters) | _given(cursor=after))
            some: Cancellations = yield from self._read(request, Cancellations)
            cancelled += some.cancelled
            interrupted += some.interrupted
            after = some.next
            if after is None:
                return Cancellations(cancelled=cancelled, interrupted=interrupted)

    def run_now_all(self, filters: JobFilters) -> Conversation[int]:
        """`POST /jobs/run-now`, portion by portion."""
        made_ready = 0
        after: str | None = None
        while True:
            request = self._post("/jobs/run-now", query=query_of(filters) | _given(cursor=after))
            some: MadeReady = yield from self._read(request, MadeReady)
            made_ready += some.made_ready
            after = some.next
            if after is None:
                return made_ready

    def retry_all(self, key: str | None, filters: JobFilters) -> Conversation[int]:
        """`POST /jobs/retry`, portion by portion, with a pause whenever the queue is full."""
        retried, after, waited = 0, None, 0.0
        while True:
            query = query_of(filters) | _given(cursor=after)
            pause = LONGEST_PAUSE_SECONDS if waited else 0.0
            request = replace(self._post("/jobs/retry", None, key, query), pause_seconds=pause)
            some: Retries = yield from self._read(request, Retries)
            retried += some.retried
            after = some.next
            if not some.full:
                waited = 0.0
                if after is None:
                    return retried
                continue
            waited = LONGEST_PAUSE_SECONDS if some.retried else waited + LONGEST_PAUSE_SECONDS
            if waited > self.patience_seconds:
                raise QueueFull(f"the queue is full: {retried} jobs run again so far")

    def get(self, job_id: str) -> Conversation[JobDetail]:
        """`GET /jobs/{job_id}`."""
        answer = yield from self._ask(self._get(_path(job_id)))
        return read_job(answer)

    def wait(self, job_id: str, seconds: float | None) -> Conversation[JobDetail]:
        """`GET /jobs/{job_id}?wait=`, again and again."""
        left = math.inf if seconds is None else seconds
        pause = 0.0
        while True:
            wait = min(left, LONGEST_POLL_SECONDS)
            query = {"wait": number_text(wait)}
            request = self._get(_path(job_id), query, wait_seconds=wait, pause_seconds=pause)
            answer = yield from self._ask(request)
            job = read_job(answer)
            left -= answer.seconds
            if job.status in TERMINAL or left <= 0:
                return job
            # A service that ends answers before the time is over.
            pause = min(max(wait - answer.seconds, 0.0), LONGEST_PAUSE_SECONDS, left)

    def jobs(
        self, filters: JobFilters, after: str | None, limit: int, *, newest_first: bool
    ) -> Conversation[Sequence[JobSummary]]:
        """`GET /jobs`, page after page if they are short."""
        found: list[JobSummary] = []
        while True:
            page = yield from self.page(
                filters, after, limit - len(found), newest_first=newest_first
            )
            found += page.jobs
            after = page.next
            if after is None or len(found) >= limit:
                return found

    def page(
        self, filters: JobFilters, after: str | None, limit: int, *, newest_first: bool
    ) -> Conversation[JobPage]:
        """`GET /jobs`."""
        query = query_of(filters) | {"order": "newest" if newest_first else "oldest"}
        query |= _given(cursor=after, limit=str(limit))
        answer = yield from self._ask(self._get("/jobs", query))
        return JobPage(read(answer, list[JobSummary]), next_cursor(answer))

    def pause(self, job_type: str | None) -> Conversation[QueueView]:
        """`POST /queue/pause`."""
        return self._read(self._post("/queue/pause", query=_given(type=job_type)), QueueView)

    def resume(self, job_type: str | None) -> Conversation[QueueView]:
        """`POST /queue/resume`."""
        return self._read(self._post("/queue/resume", query=_given(type=job_type)), QueueView)

    def view(self) -> Conversation[QueueView]:
        """`GET /queue`."""
        return self._read(self._get("/queue"), QueueView)

    def types(self) -> Conversation[Sequence[TypeView]]:
        """`GET /types`."""
        return self._read(self._get("/types"), list[TypeView])

    def workers(self) -> Conversation[Sequence[WorkerView]]:
        """`GET /workers`."""
        return self._read(self._get("/workers"), list[WorkerView])

    def metrics(self) -> Conversation[MetricsSnapshot]:
        """`GET /metrics`."""
        return self._read(self._get("/metrics"), MetricsSnapshot)

    def back_up(self, destination: str) -> Conversation[int]:
        """`POST /store/backup`, which is done once, however long it takes."""
        request = Request(
            method="POST",
            path="/store/backup",
            query={"to": destination},
            timeout_seconds=None,
            is_repeatable=False,
        )
        answer = yield from self._ask(request)
        backup: _Backup = read(answer, _Backup)
        return backup.bytes

    def submit_portion(self, lines: Sequence[bytes], key: str) -> Conversation[Sequence[str]]:
        """`POST /jobs/batch`."""
        request = self._post(
            "/jobs/batch", b"\n".join(lines), key, content_type="application/x-ndjson"
        )
        receipt: _Receipt = yield from self._read(request, _Receipt)
        return receipt.ids

    def _read(self, request: Request, kind: Any) -> Conversation[Any]:
        """What a call answers, as this type."""
        answer = yield from self._ask(request)
        return read(answer, kind)

    def _ask(self, request: Request) -> Conversation[Answer]:
        return answered(request, self.patience_seconds)

    def _get(
        self,
        path: str,
        query: Mapping[str, str | list[str]] | None = None,
        *,
        wait_seconds: float = 0.0,
        pause_seconds: float = 0.0,
    ) -> Request:
        """A `GET`, whose answer may take `wait_seconds` longer than others."""
        return Request(
            method="GET",
            path=path,
            query=query or {},
            timeout_seconds=self._timeout_seconds + wait_seconds,
            pause_seconds=pause_seconds,
        )

    def _post(
        self,
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        query: Mapping[str, str | list[str]] | None = None,
        wait_seconds: float = 0.0,
        content_type: str = "application/json",
    ) -> Request:
        headers = {} if body is None else {"Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = header_value(key, "an idempotency key")
        return Request(
            method="POST",
            path=path,
            query=query or {},
            headers=headers,
            body=body,
            timeout_seconds=self._timeout_seconds + wait_seconds,
        )


class _Receipt(msgspec.Struct):
    """Of `POST /jobs/batch`."""

    ids: list[str]


class _Backup(msgspec.Struct):
    """Of `POST /store/backup`."""

    bytes: int


def submission_json(job_type: str, payload: object, options: JobOptions) -> bytes:
    """A submission as the API takes it. Raises InvalidPayload or InvalidOption."""
    fields: dict[str, object] = {"type": job_type}
    if payload is not UNSET:
        fields["payload"] = msgspec.Raw(encode_payload(payload))
    return _fields_json(fields | dict(options))


def edit_json(run_at: datetime | None, priority: int | None, payload: object) -> bytes:
    """A change of a job as the API takes it. Raises InvalidPayload or InvalidOption."""
    fields: dict[str, object] = {"run_at": run_at, "priority": priority}
    if payload is not UNSET:
        fields["payload"] = msgspec.Raw(encode_payload(payload))
    return _fields_json(fields)


def _fields_json(given: dict[str, object]) -> bytes:
    fields = {name: value for name, value in given.items() if value is not None}
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):  # which JSON has as null
            raise InvalidOption(f"{name} must be a number, not {value}")
    try:
        return msgspec.json.encode(fields)
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidOption(f"an option can't be written as JSON: {error}") from error


def header_value(text: str, what: str) -> str:
    """The text, to be sent in a header. Raises InvalidOption if none can have it."""
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise InvalidOption(f"{what} must be visible ASCII characters, not {text!a}")
    return text


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return str(uuid.uuid4())


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='', errors='replace')}"


def number_text(seconds: float) -> str:
    """As the query has it. Raises InvalidOption if it is none."""
    if math.isnan(seconds):
        raise InvalidOption("the seconds to wait must be a number")
    return f"{seconds:.3f}"


def _given(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}
