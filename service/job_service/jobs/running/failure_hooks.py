"""Calls the hooks for jobs that have failed for good, beside the workers and in bounded time."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import Any, Final, NamedTuple

import trio
from msgspec import UNSET

from job_service.errors import UnknownJobType
from job_service.failures.report import Report
from job_service.jobs.registration.hooks import OnFailure
from job_service.jobs.registration.job_type import teller_for
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.cancellation import interruption_in
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import detail_of
from job_service.jobs.state.model import Job
from job_service.telemetry.events import Event, HookFailed

HOOK_SECONDS: Final = 10.0
AT_A_TIME: Final = 10
MOST_WAITING: Final = 1_000

_TOO_LATE: Final = "the service ended before it had done its work"
_TOO_MANY: Final = f"it was not called, because {MOST_WAITING} jobs waited for their hooks"


class _Failed(NamedTuple):
    """A job that has failed, and with what."""

    job: Job
    error: BaseException


class FailureHooks:
    """The hooks of one engine.

    A job that fails without an error of its handler has no exception either, so it gets one.
    """

    def __init__(self, registry: Registry, emit: Callable[[Event], None], clock: Clock) -> None:
        self._registry = registry
        self._emit = emit
        self._clock = clock
        self._errors: dict[str, BaseException] = {}  # of jobs whose end is still to be kept
        self._waiting: trio.MemorySendChannel[_Failed] | None = None

    def expect(self, job: Job, error: BaseException) -> None:
        """The job is about to fail with this error, which its hooks are to see."""
        if self._hooks_of(job):
            self._errors[job.id] = error

    def job_failed(self, job: Job) -> None:
        """The job has failed, and that is kept: call its hooks soon."""
        if not self._hooks_of(job):
            return
        error = self._errors.pop(job.id, None) or RuntimeError(detail_of(job).error)
        failed = _Failed(job, error)
        if self._waiting is None:
            self._miss(failed, _TOO_LATE)
            return
        try:
            self._waiting.send_nowait(failed)
        except trio.WouldBlock:
            self._miss(failed, _TOO_MANY)

    @asynccontextmanager
    async def open(
        self, resources: Mapping[str, Any], settled: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Call hooks until the block ends, and then those of all failures that it leaves.

        `settled` waits until these are kept. If cancelled, hooks that have not ended are told as
        missed.
        """
        if not self._registry.has_hooks_for_failures:
            yield
            return
        to_hooks, waiting = trio.open_memory_channel[_Failed](MOST_WAITING)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve, waiting, resources)
                with to_hooks:
                    self._waiting = to_hooks
                    try:
                        yield
                        await settled()
                    finally:
                        self._waiting = None
        finally:
            while waiting.statistics().current_buffer_used:
                self._miss(waiting.receive_nowait(), _TOO_LATE)

    async def _serve(
        self, waiting: trio.MemoryReceiveChannel[_Failed], resources: Mapping[str, Any]
    ) -> None:
        places = trio.Semaphore(AT_A_TIME)
        async with trio.open_nursery() as nursery:
            await places.acquire()
            async for failed in waiting:
                nursery.start_soon(self._call_all, failed, resources, places)
                await places.acquire()

    async def _call_all(
        self, failed: _Failed, resources: Mapping[str, Any], places: trio.Semaphore
    ) -> None:
        try:
            for hook in self._hooks_of(failed.job):
                await self._call(hook, failed, resources)
        finally:
            places.release()

    async def _call(self, hook: OnFailure, failed: _Failed, resources: Mapping[str, Any]) -> None:
        call = partial(hook.call, detail_of(failed.job), failed.error, resources)
        problem: Report | None = None
        try:
            with trio.move_on_after(HOOK_SECONDS) as scope:
                await _run(call, in_thread=hook.may_block)
            if scope.cancelled_caught:
                problem = Report(f"it took longer than {HOOK_SECONDS:.0f} s", "")
        except BaseException as error:
            interruption = interruption_in(error)
            if interruption is not None:
                self._tell(hook, failed.job, Report(_TOO_LATE, ""))
                raise interruption from None
            problem = teller_for(self._registry.lookup(failed.job.type))(error)
        if problem is not None:
            self._tell(hook, failed.job, problem)

    def _miss(self, failed: _Failed, why: str) -> None:
        for hook in self._hooks_of(failed.job):
            self._tell(hook, failed.job, Report(why, ""))

    def _tell(self, hook: OnFailure, job: Job, problem: Report) -> None:
        self._emit(
            HookFailed(
                timestamp=self._clock.now(),
                job_id=job.id,
                job_type=job.type,
                hook=hook.name,
                error=problem.line,
                traceback=problem.traceback or UNSET,
            )
        )

    def _hooks_of(self, job: Job) -> tuple[OnFailure, ...]:
        try:
            return self._registry.lookup(job.type).hooks.on_failure
        except UnknownJobType:  # it was of an older program
            return ()


async def _run(call: Callable[[], Any], *, in_thread: bool) -> None:
    if in_thread:
        anywhere = trio.CapacityLimiter(math.inf)  # handlers may have filled the default one
        [result] = await trio.to_thread.run_sync(
            lambda: [call()], abandon_on_cancel=True, limiter=anywhere
        )
    else:
        result = call()
    if isawaitable(result):
        await result
