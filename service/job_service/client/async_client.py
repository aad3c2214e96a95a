"""The client that awaits, on Trio and on asyncio."""

import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from typing import Self, TypeVar, Unpack

import anyio
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


class AsyncJobClient:
    """What JobClient does, for programs on Trio or asyncio: its methods are async.

    All parameters, results and errors are those of JobClient. Tasks of one event loop may share a
    client. Use it in an `async with` block, or close it with `aclose`. A submission that is
    cancelled may have arrived: to repeat it safely, give it an `idempotency_key`.
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
            transport = httpx.AsyncHTTPTransport(uds=address.socket, verify=False)
        self._http = opened(httpx.AsyncClient, address, transport, ssl_context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """As JobClient.submit."""
        return await self._run(self._calls.submit(job_type, payload, idempotency_key, options))

    async def submit_and_wait(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobDetail:
        """As JobClient.submit_and_wait."""
        conversation = self._calls.submit_and_wait(
            job_type, payload, seconds, idempotency_key, options
        )
        return await self._run(conversation)

    async def submit_all(
        self, submissions: Iterable[Submission], *, idempotency_key: str | None = None
    ) -> Sequence[str]:
        """As JobClient.submit_all."""
        return await self._run(submit_all(self._calls, submissions, idempotency_key))

    async def get(self, job_id: str) -> JobDetail:
        """As JobClient.get."""
        return await self._run(self._calls.get(job_id))

    async def wait(self, job_id: str, seconds: float | None = None) -> JobDetail:
        """As JobClient.wait."""
        return await self._run(self._calls.wait(job_id, seconds))

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """As JobClient.list."""
        return await self._run(self._calls.jobs(filters, after, limit, newest_first=newest_first))

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As JobClient.page."""
        return await self._run(self._calls.page(filters, after, limit, newest_first=newest_first))

    async def list_all(
        self, *, newest_first: bool = False, **filters: Unpack[JobFilters]
    ) -> AsyncIterator[JobSummary]:
        """As JobClient.list_all."""
        last: str | None = None
        while page := await self.list(
            after=last, limit=1_000, newest_first=newest_first, **filters
        ):
            for job in page:
                yield job
            last = page[-1].id

    async def run_now(self, job_id: str) -> JobDetail:
        """Let a job wait no longer for its time: one that is for later, was snoozed or is retried.

        One that is ready already stays as it is. Raises UnknownJob, NotPending if it runs or has
        ended, or WaitsForJobs.
        """
        return await self._run(self._calls.run_now(job_id))

    async def edit(
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
        return await self._run(self._calls.edit(job_id, run_at, priority, payload))

    async def cancel(self, job_id: str) -> JobDetail:
        """As JobClient.cancel."""
        return await self._run(self._calls.cancel(job_id))

    async def cancel_all(
        self, job_type: str | None = None, /, **filters: Unpack[JobFilters]
    ) -> Cancellations:
        """As JobClient.cancel_all."""
        return await self._run(self._calls.cancel_all(with_type(job_type, filters)))

    async def run_now_all(
        self, job_type: str | None = None, /, **filters: Unpack[JobFilters]
    ) -> int:
        """As JobClient.run_now_all."""
        return await self._run(self._calls.run_now_all(with_type(job_type, filters)))

    async def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """As JobClient.retry_all."""
        return await self._run(self._calls.retry_all(idempotency_key, with_type(job_type, filters)))

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """As JobClient.retry."""
        return await self._run(self._calls.retry(job_id, idempotency_key))

    async def submit_group(
        self,
        submissions: Iterable[Submission],
        *,
        on_complete: Submission | None = None,
        on_failure: Submission | None = None,
        idempotency_key: str | None = None,
    ) -> GroupView:
        """As JobClient.submit_group."""
        callbacks = {"on_complete": on_complete, "on_failure": on_failure}
        return await self._run(self._calls.submit_group(submissions, callbacks, idempotency_key))

    async def get_group(self, group_id: str) -> GroupView:
        """As JobClient.get_group."""
        return await self._run(self._calls.get_group(group_id))

    async def wait_for_group(self, group_id: str, seconds: float | None = None) -> GroupView:
        """As JobClient.wait_for_group."""
        return await self._run(self._calls.wait_for_group(group_id, seconds))

    async def cancel_group(self, group_id: str) -> Cancellations:
        """As JobClient.cancel_group."""
        return await self._run(self._calls.cancel_group(group_id))

    async def retry_group(self, group_id: str, *, idempotency_key: str | None = None) -> GroupView:
        """As JobClient.retry_group."""
        return await self._run(self._calls.retry_group(group_id, idempotency_key))

    async def pause(self, job_type: str | None = None) -> QueueView:
        """As JobClient.pause."""
        return await self._run(self._calls.pause(job_type))

    async def resume(self, job_type: str | None = None) -> QueueView:
        """As JobClient.resume."""
        return await self._run(self._calls.resume(job_type))

    async def view(self) -> QueueView:
        """As JobClient.view."""
        return await self._run(self._calls.view())

    async def types(self) -> Sequence[TypeView]:
        """As JobClient.types."""
        return await self._run(self._calls.types())

    async def workers(self) -> Sequence[WorkerView]:
        """As JobClient.workers."""
        return await self._run(self._calls.workers())

    async def schedules(self) -> Sequence[ScheduleView]:
        """As JobClient.schedules."""
        return await self._run(self._calls.schedules())

    async def run_schedule_now(
        self, schedule: str, *, idempotency_key: str | None = None
    ) -> JobSummary:
        """As JobClient.run_schedule_now."""
        return await self._run(self._calls.run_schedule_now(schedule, idempotency_key))

    async def pause_schedule(self, schedule: str) -> ScheduleView:
        """As JobClient.pause_schedule."""
        return await self._run(self._calls.pause_schedule(schedule))

    async def resume_schedule(self, schedule: str) -> ScheduleView:
        """As JobClient.resume_schedule."""
        return await self._run(self._calls.resume_schedule(schedule))

    async def metrics(self) -> MetricsSnapshot:
        """As JobClient.metrics."""
        return await self._run(self._calls.metrics())

    async def back_up(self, destination: str | os.PathLike[str]) -> int:
        """As JobClient.back_up."""
        return await self._run(self._calls.back_up(os.fspath(destination)))

    @asynccontextmanager
    async def stream(
        self,
        *,
        job_ids: Sequence[str] = (),
        events: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> AsyncIterator[AsyncIterator[StreamedEvent]]:
        """As JobClient.stream."""
        follower = Follower(job_ids, events, last_event_id, self._calls.patience_seconds)
        async with aclosing(self._follow(follower)) as stream:
            await anext(stream)
            async with aclosing(
                event async for event in stream if event is not None
            ) as events_only:
                yield events_only

    async def _follow(self, follower: Follower) -> AsyncGenerator[StreamedEvent | None]:
        """The events, and None whenever a connection stands."""
        while True:
            why = f"the stream of {self.url} has ended"
            try:
                async with self._http.stream(**arguments_of(follower.request())) as response:
                    if not response.is_success:
                        await response.aread()
                    follower.accept(answer_of(response))
                    yield None
                    async with _ended(response.aiter_bytes(), response) as pieces:
                        async for piece in pieces:
                            for event in follower.read(piece):
                                yield event
            except (httpx.RequestError, Unreachable) as error:
                why = no_answer_of(error, self.url).why
            await anyio.sleep(follower.pause_after(why))

    async def _run(self, conversation: Conversation[T]) -> T:
        try:
            request = next(conversation)
            while True:
                request = conversation.send(await self._take(request))
        except StopIteration as ending:
            result: T = ending.value
            return result

    async def _take(self, request: Request) -> Answer | NoAnswer:
        began = time.monotonic()
        if request.pause_seconds:
            await anyio.sleep(request.pause_seconds)
        try:
            response = await self._http.request(**arguments_of(request))
        except httpx.RequestError as error:
            return no_answer_of(error, self.url, time.monotonic() - began)
        return answer_of(response, time.monotonic() - began)


@asynccontextmanager
async def _ended(
    pieces: AsyncIterator[bytes], response: httpx.Response
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The pieces of a response, whose generators within httpx are ended with the block.

    httpx leaves them to the garbage collection, of which Trio warns.
    """
    try:
        yield pieces
    finally:
        await response.aclose()
        with suppress(httpx.RequestError):
            async for _ in pieces:  # it ends at once, as the connection is closed
                pass
