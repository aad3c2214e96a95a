"""The client that blocks: for programs without an event loop, and for threads."""

import os
import ssl
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Self, TypeVar, Unpack

import httpx
from msgspec import UNSET

from job_service.client.address import find_service
from job_service.client.batches import Submission, submit_all
from job_service.client.event_stream import Follower, StreamedEvent
from job_service.client.exchange import Answer, Conversation, NoAnswer, Request
from job_service.client.filters import with_type
from job_service.client.httpx_messages import answer_of, arguments_of, no_answer_of, opened
from job_service.client.schedule_calls import ScheduleCalls
from job_service.errors import Unreachable
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.job_filter import JobPage
from job_service.jobs.state.views import (
    Cancellations,
    QueueView,
    ScheduleView,
    TypeView,
    WorkerView,
)
from job_service.telemetry.metrics import MetricsSnapshot

T = TypeVar("T")


class JobClient:
    """Submits jobs to a service over HTTP, and asks what became of them.

    `url` is such as http://127.0.0.1:8080, with or without a path, or unix: and the path of a
    socket. Left out, it is that of JOB_SERVICE_URL, or that of a service on this machine. `token`
    is a bearer token; left out, it is the first one of JOB_SERVICE_TOKEN, if that is set.
    `ssl_context` says whom to trust, if the service's certificate is not one that everybody knows.

    A call that is refused for now (429, 503) or gets no answer is repeated, as `Retry-After` says,
    for `patience_seconds`. No job is made twice by that, because each submission has an idempotency
    key. Give one of your own, and you may repeat a whole call, for a day. `timeout_seconds` bounds
    the wait for each part of an answer.

    Threads may share a client. Close it when it is no longer needed, or use it in a `with` block.

    Raises SettingsError if `url` or `token` is none. Every call raises Unreachable, Unauthorized,
    StoreUnavailable or UnexpectedAnswer, besides what its own description says.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        patience_seconds: float = 30.0,
        timeout_seconds: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        address = find_service(url, token)
        self.url = address.url
        self._calls = ScheduleCalls(patience_seconds, timeout_seconds)
        transport = None
        if address.socket is not None:
            transport = httpx.HTTPTransport(uds=address.socket, verify=False)
        self._http = opened(httpx.Client, address, transport, ssl_context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """Submit a job. A worker runs it as soon as one is free, or as `options` say.

        `payload` is anything msgspec can write as JSON. If it is left out, the job type says what
        it is. If another job holds the `unique_key`, no job is made, and that one is returned as a
        `duplicate`.

        Raises UnknownJobType, InvalidPayload, InvalidOption, UnknownPredecessor, BatchTooLarge or
        IdempotencyKeyReused; and QueueFull or QueueClosed if patience is over.
        """
        return self._run(self._calls.submit(job_type, payload, idempotency_key, options))

    def submit_and_wait(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobDetail:
        """Submit a job, and return all of it when it has ended, or after `seconds` as it is then.

        Raises what `submit` and `wait` raise.
        """
        conversation = self._calls.submit_and_wait(
            job_type, payload, seconds, idempotency_key, options
        )
        return self._run(conversation)

    def submit_all(
        self, submissions: Iterable[Submission], *, idempotency_key: str | None = None
    ) -> Sequence[str]:
        """Submit any number of jobs; gives their ids, in their order.

        They go in portions, each of which is accepted as a whole or not at all, and for each of
        which patience begins anew. If one fails, those before it stay accepted: a note of the error
        says how many. Repeat the whole call with the same `idempotency_key`, and none of them is
        submitted twice.

        Raises what `submit` raises. The line in its text is counted from the start of the portion.
        """
        return self._run(submit_all(self._calls, submissions, idempotency_key))

    def get(self, job_id: str) -> JobDetail:
        """All there is to know of a job. Raises UnknownJob."""
        return self._run(self._calls.get(job_id))

    def wait(self, job_id: str, seconds: float | None = None) -> JobDetail:
        """What `get` returns, when the job has ended, or after `seconds` as it is then.

        It outlasts a restart of the service, if that takes no longer than `patience_seconds`, and
        the wait may then be a little longer. Raises UnknownJob, as when jobs are kept in memory and
        the service was restarted.
        """
        return self._run(self._calls.wait(job_id, seconds))

    def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """Up to `limit` jobs, 1,000 at most, of which all `filters` are true, in order of creation.

        The list begins with the job that follows in this order on the one whose id is `after`.
        Fewer than `limit` are all: if the service has to look at many jobs in vain, it is asked
        again and again. Raises UnknownJobType or InvalidOption.
        """
        return self._run(self._calls.jobs(filters, after, limit, newest_first=newest_first))

    def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As `list`, but by one question, and with the id to go on after.

        So a page may have fewer jobs than `limit`, or none, and yet not be the last one. Raises
        what `list` raises.
        """
        return self._run(self._calls.page(filters, after, limit, newest_first=newest_first))

    def list_all(
        self, *, newest_first: bool = False, **filters: Unpack[JobFilters]
    ) -> Iterator[JobSummary]:
        """All jobs of which all `filters` are true, page by page. Raises what `list` raises."""
        last: str | None = None
        while page := self.list(after=last, limit=1_000, newest_first=newest_first, **filters):
            yield from page
            last = page[-1].id

    def run_now(self, job_id: str) -> JobDetail:
        """Let a job wait no longer for its time: one that is for later, was snoozed or is retried.

        One that is ready already stays as it is. Raises UnknownJob, NotPending if it runs or has
        ended, or WaitsForJobs.
        """
        return self._run(self._calls.run_now(job_id))

    def edit(
        self,
        job_id: str,
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        payload: object = UNSET,
    ) -> JobDetail:
        """Give a job that waits another time, priority or payload; what is left out stays.

        Raises UnknownJob, NotPending if it runs or has ended, UnknownJobType, InvalidPayload,
        InvalidOption, or QueueFull if there is no room for a longer payload.
        """
        return self._run(self._calls.edit(job_id, run_at, priority, payload))

    def cancel(self, job_id: str) -> JobDetail:
        """Cancel a job: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, or AlreadyFinished if it has ended.
        """
        return self._run(self._calls.cancel(job_id))

    def cancel_all(
        self, job_type: str | None = None, /, **filters: Unpack[JobFilters]
    ) -> Cancellations:
        """Cancel all jobs of this type, or of which all `filters` are true, that have not ended.

        They are cancelled in portions, the newest first. It may be repeated. Raises UnknownJobType,
        or InvalidOption, as if nothing says which jobs are meant.
        """
        return self._run(self._calls.cancel_all(with_type(job_type, filters)))

    def run_now_all(self, job_type: str | None = None, /, **filters: Unpack[JobFilters]) -> int:
        """Let all pending jobs that are meant run now, and give how many had not been ready.

        Raises what `cancel_all` raises.
        """
        return self._run(self._calls.run_now_all(with_type(job_type, filters)))

    def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """Run all jobs again that are meant, each once; gives how many.

        These are the failed ones, if no status is said. While the queue is full, it waits. Within a
        day no job is run again twice by it, unless the `idempotency_key` is another one. Raises
        what `cancel_all` raises, or QueueClosed.
        """
        return self._run(self._calls.retry_all(idempotency_key, with_type(job_type, filters)))

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Run a job again that has ended, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, QueueFull, QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.retry(job_id, idempotency_key))

    def submit_group(
        self,
        submissions: Iterable[Submission],
        *,
        on_complete: Submission | None = None,
        on_failure: Submission | None = None,
        idempotency_key: str | None = None,
    ) -> GroupView:
        """Submit many jobs as one group, or none of them.

        When the last of them has ended, `on_complete` is submitted if all have completed, and else
        `on_failure`. All together may be 1 MiB of JSON. Raises what `submit` raises.
        """
        callbacks = {"on_complete": on_complete, "on_failure": on_failure}
        return self._run(self._calls.submit_group(submissions, callbacks, idempotency_key))

    def get_group(self, group_id: str) -> GroupView:
        """How far a group has come. Raises UnknownGroup."""
        return self._run(self._calls.get_group(group_id))

    def wait_for_group(self, group_id: str, seconds: float | None = None) -> GroupView:
        """The group, when it has ended, or after `seconds` as it is then; as `wait` for a job.

        Raises UnknownGroup.
        """
        return self._run(self._calls.wait_for_group(group_id, seconds))

    def cancel_group(self, group_id: str) -> Cancellations:
        """Cancel all jobs of a group that have not ended.

        Raises UnknownGroup, or GroupConflict if all have.
        """
        return self._run(self._calls.cancel_group(group_id))

    def retry_group(self, group_id: str, *, idempotency_key: str | None = None) -> GroupView:
        """Run the jobs of a group again that did not complete, as a new group.

        Raises UnknownGroup, GroupConflict if there are none or it has not ended, QueueFull,
        QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.retry_group(group_id, idempotency_key))

    def pause(self, job_type: str | None = None) -> QueueView:
        """Let no more jobs start, or none of this type, until `resume`. Raises UnknownJobType."""
        return self._run(self._calls.pause(job_type))

    def resume(self, job_type: str | None = None) -> QueueView:
        """End the pause of the queue, or of this type. Raises UnknownJobType."""
        return self._run(self._calls.resume(job_type))

    def view(self) -> QueueView:
        """How many jobs wait, and for what."""
        return self._run(self._calls.view())

    def types(self) -> Sequence[TypeView]:
        """All job types, and how many of their jobs are in which status."""
        return self._run(self._calls.types())

    def workers(self) -> Sequence[WorkerView]:
        """What each worker does now."""
        return self._run(self._calls.workers())

    def schedules(self) -> Sequence[ScheduleView]:
        """What each schedule has done, and when it submits its next job."""
        return self._run(self._calls.schedules())

    def run_schedule_now(self, schedule: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Make the job of a schedule at this moment; its next tick stays when it is.

        Raises UnknownSchedule, QueueFull, QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.run_schedule_now(schedule, idempotency_key))

    def pause_schedule(self, schedule: str) -> ScheduleView:
        """Let its ticks make no jobs, until `resume_schedule`. Raises UnknownSchedule."""
        return self._run(self._calls.pause_schedule(schedule))

    def resume_schedule(self, schedule: str) -> ScheduleView:
        """Let its ticks make jobs again, from the next one on. Raises UnknownSchedule."""
        return self._run(self._calls.resume_schedule(schedule))

    def metrics(self) -> MetricsSnapshot:
        """The counters and gauges of the service."""
        return self._run(self._calls.metrics())

    def back_up(self, destination: str | os.PathLike[str]) -> int:
        """Copy all jobs to a new file on the machine of the service, and give its size in bytes.

        The path must be absolute. Raises BackupRefused, or InvalidOption. It is not repeated.
        """
        return self._run(self._calls.back_up(os.fspath(destination)))

    @contextmanager
    def stream(
        self,
        *,
        job_ids: Sequence[str] = (),
        events: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> Iterator[Iterator[StreamedEvent]]:
        """What happens from the start of the `with` block on, or after `last_event_id`.

        Only events of the jobs `job_ids`, and only those named in `events`, if any are given. A
        connection that breaks is opened again, and the stream goes on where it was. It ends with
        Unreachable if that takes longer than `patience_seconds`. Raises InvalidOption.
        """
        follower = Follower(job_ids, events, last_event_id, self._calls.patience_seconds)
        with closing(self._follow(follower)) as stream:
            next(stream)
            yield (event for event in stream if event is not None)

    def _follow(self, follower: Follower) -> Generator[StreamedEvent | None]:
        """The events, and None whenever a connection stands."""
        while True:
            why = f"the stream of {self.url} has ended"
            try:
                with self._http.stream(**arguments_of(follower.request())) as response:
                    if not response.is_success:
                        response.read()
                    follower.accept(answer_of(response))
                    yield None
                    for piece in response.iter_bytes():
                        yield from follower.read(piece)
            except (httpx.RequestError, Unreachable) as error:
                why = no_answer_of(error, self.url).why
            time.sleep(follower.pause_after(why))

    def _run(self, conversation: Conversation[T]) -> T:
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._take(request))
        except StopIteration as ending:
            result: T = ending.value
            return result

    def _take(self, request: Request) -> Answer | NoAnswer:
        began = time.monotonic()
        if request.pause_seconds:
            time.sleep(request.pause_seconds)
        try:
            response = self._http.request(**arguments_of(request))
        except httpx.RequestError as error:
            return no_answer_of(error, self.url, time.monotonic() - began)
        return answer_of(response, time.monotonic() - began)
