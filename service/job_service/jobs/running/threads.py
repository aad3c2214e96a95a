"""Runs handlers in threads, and keeps account of those that had to be let go."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

import outcome
import trio
from msgspec import UNSET
from trio._threads import PARENT_TASK_DATA

from job_service.failures.exception_groups import is_cancellation
from job_service.failures.report import Report, report
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Attempt, Job
from job_service.telemetry.events import Event, ThreadAbandoned, ThreadReturned

Result = TypeVar("Result")


class Threads:
    """The threads of one engine's jobs.

    A thread can't be interrupted. When its job is, it is let go: it runs on for nobody, until it
    returns. `max_abandoned` bounds how many may do so before workers wait for one to return.
    """

    def __init__(self, emit: Callable[[Event], None], clock: Clock, *, max_abandoned: int) -> None:
        self._emit = emit
        self._clock = clock
        self._max_abandoned = max_abandoned
        self._abandoned = 0
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    @property
    def too_many(self) -> bool:
        """Whether workers should wait for a thread to return before they begin another job."""
        return self._abandoned >= self._max_abandoned and not self._closed

    @property
    def awaited(self) -> int:
        """Of how many threads workers wait for one to return; 0 while they don't."""
        return self._abandoned if self.too_many else 0

    async def call(
        self,
        job: Job,
        attempt: Attempt,
        function: Callable[[], Result],
        tell: Callable[[BaseException], Report] = report,
    ) -> Result:
        """What `function` returns, or raises, in a thread; cancelled, its thread is let go.

        `tell` says what there is to say of an error that it raises after that.
        """
        thread = _JobThread(self, job, attempt, tell)
        try:
            return await trio.to_thread.run_sync(
                _run_in_fresh_thread,
                attempt.worker_id,
                function,
                thread,
                abandon_on_cancel=True,
                limiter=thread,  # type: ignore[arg-type]  # Trio takes all that has its two methods
            )
        except trio.Cancelled:
            if thread.runs:  # else the cancellation is one that the handler has raised itself
                thread.let_go()
            raise

    async def wait_for_return(self) -> None:
        """Return when they are no longer too many."""
        while self.too_many:
            await self._changed.park()

    def close(self) -> None:
        """Let nobody wait any more: no job is going to begin."""
        self._closed = True
        self._changed.unpark_all()

    def was_let_go(self, job: Job, attempt: Attempt) -> float:
        """Count it and say so; gives the moment."""
        self._abandoned += 1
        self._emit(ThreadAbandoned(timestamp=self._clock.now(), **_identity(job, attempt)))
        return self._clock.monotonic()

    def has_returned(self, job: Job, attempt: Attempt, since: float, error: str | None) -> None:
        """One that was let go has come to its end, perhaps with an error that nobody waits for."""
        self._abandoned -= 1
        seconds = round(self._clock.monotonic() - since, 6)
        self._emit(
            ThreadReturned(
                timestamp=self._clock.now(),
                **_identity(job, attempt),
                abandoned_seconds=seconds,
                error=UNSET if error is None else error,
            )
        )
        self._changed.unpark_all()


class _JobThread:
    """One thread: to Trio the limiter that it takes a place of, because that hears of its end."""

    def __init__(
        self,
        threads: Threads,
        job: Job,
        attempt: Attempt,
        tell: Callable[[BaseException], Report],
    ) -> None:
        self.runs = False
        self.error: BaseException | None = None  # that it has ended with
        self._threads = threads
        self._job = job
        self._attempt = attempt
        self._tell = tell
        self._let_go_at: float | None = None

    def let_go(self) -> None:
        self._let_go_at = self._threads.was_let_go(self._job, self._attempt)

    async def acquire_on_behalf_of(self, _: object) -> None:
        # There is always a place: a job that waited here would be `processing` without being run.
        self.runs = True

    def release_on_behalf_of(self, _: object) -> None:
        self.runs = False
        error, self.error = self.error, None
        if self._let_go_at is not None:
            # It may just have asked whether anybody still wants it.
            said = None if error is None or is_cancellation(error) else self._tell(error).line
            self._threads.has_returned(self._job, self._attempt, self._let_go_at, said)


def _run_in_fresh_thread(name: str, function: Callable[[], Result], known_as: _JobThread) -> Result:
    """Call `function` in a thread of its own, from one of those that Trio uses again and again.

    What a handler leaves in thread-locals (a session, the tenant of a request, asyncio's event
    loop) ends with its thread, and is not there for the next job.
    """
    results: list[outcome.Outcome[Result]] = []
    known_to_trio = vars(PARENT_TASK_DATA)  # so that trio.from_thread works there, too
    context = copy_context()

    def run() -> None:
        vars(PARENT_TASK_DATA).update(known_to_trio)
        results.append(outcome.capture(context.run, function))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join()
    result = results.pop()
    known_as.error = result.error if isinstance(result, outcome.Error) else None
    return result.unwrap()


def _identity(job: Job, attempt: Attempt) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "job_type": job.type,
        "worker_id": attempt.worker_id,
        "attempt": attempt.number,
    }
