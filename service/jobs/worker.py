"""Runs jobs: receives one, runs its handler within its limits, and reports what became of it."""

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import trio
from structlog.typing import FilteringBoundLogger

from service.jobs.context import JobContext
from service.jobs.dispatcher import Dispatcher
from service.jobs.failure import describe, format_traceback
from service.jobs.model import Attempt, Job
from service.jobs.registry import JobType, Registry
from service.jobs.store import JobStore

ANY_NUMBER_OF_THREADS = math.inf


class Worker:
    """Takes jobs from its clone of the workers' channel, one at a time, until the channel closes.

    A worker that is cancelled or crashes leaves no job in `processing`: the one it holds is
    abandoned, for the reason that `stop_reason` makes of what interrupted it.
    """

    def __init__(
        self,
        id: str,
        jobs: trio.MemoryReceiveChannel[Job],
        registry: Registry,
        store: JobStore,
        dispatcher: Dispatcher,
        log: FilteringBoundLogger,
        stop_reason: Callable[[BaseException | None], str],
        random_source: random.Random,
    ) -> None:
        self.id = id
        self.jobs_run = 0
        self._jobs = jobs
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._log = log
        self._stop_reason = stop_reason
        self._random_source = random_source
        self._scope = trio.CancelScope()
        self._drained = False
        # The default limiter would let abandoned threads, which hold their place until they
        # return, keep later jobs waiting. There is one live thread per worker at the most.
        self._threads = trio.CapacityLimiter(ANY_NUMBER_OF_THREADS)

    async def run(self) -> None:
        """Run jobs until the channel is closed and empty."""
        with self._jobs:
            while not self._drained:
                # Cancelling this scope interrupts the job in hand. It is entered anew only when
                # it has been used: entering costs as much as all the bookkeeping of a job.
                with trio.CancelScope() as self._scope:
                    await self._run_jobs()

    async def _run_jobs(self) -> None:
        self._dispatcher.look_again()  # free again, if this comes after an interruption
        async for job in self._jobs:
            if job.status == "pending":  # else it was cancelled on its way here
                await self._run_attempt(job)
            self._dispatcher.look_again()
        self._drained = True

    async def _run_attempt(self, job: Job) -> None:
        job_type = self._registry.lookup(job.type)
        self.jobs_run += 1
        attempt = self._store.start(job, self.id, self._scope.cancel)
        if job_type.timeout is not None:
            self._scope.deadline = trio.current_time() + job_type.timeout
        try:
            result = await self._call_handler(job_type, job, attempt)
        except BaseException as error:
            if _is_the_handlers_own(error):
                self._end_attempt(job, job_type, error=error)
            else:
                interruption = _without_the_handlers_own(error)
                self._end_attempt(job, job_type, interruption=interruption)
                raise interruption from None
        else:
            self._complete(job, result)
        finally:
            if job_type.timeout is not None:
                self._scope.deadline = math.inf

    async def _call_handler(self, job_type: JobType, job: Job, attempt: Attempt) -> Any:
        context = JobContext(job.id, job.type, self.id, attempt.number, self._log)
        arguments = job_type.arguments(job.payload, context)
        if job_type.runs_in_thread:
            return await trio.to_thread.run_sync(
                partial(job_type.handler, **arguments),
                abandon_on_cancel=True,
                limiter=self._threads,
            )
        return await job_type.handler(**arguments)

    def _complete(self, job: Job, result: object) -> None:
        if job.status != "processing":
            return  # as in _end_attempt
        try:
            text = msgspec.json.encode(result)
        except Exception as error:
            # Its work is done, and doing it again would not make its result any better.
            message = f"the result can't be written as JSON: {describe(error)}"
            self._store.fail(job, message, format_traceback(error))
        else:
            self._store.complete(job, text)

    def _end_attempt(
        self,
        job: Job,
        job_type: JobType,
        error: BaseException | None = None,
        interruption: BaseException | None = None,
    ) -> None:
        """The handler raised an `error`, perhaps for being interrupted, or the `interruption`."""
        if job.status != "processing":
            return  # it went on for so long that the service's end has left it behind
        interrupted = self._scope.cancel_called
        if interrupted and job.cancel_reason is not None:
            self._store.cancel(job, job.cancel_reason, describe(error) if error else None)
        elif interrupted:
            timeout = TimeoutError(f"the attempt took longer than {job_type.timeout} s")
            self._retry_or_fail(job, job_type, error or timeout)
        elif error is None or _is_being_cancelled():
            self._store.abandon(job, self._stop_reason(interruption))
        else:
            self._retry_or_fail(job, job_type, error)

    def _retry_or_fail(self, job: Job, job_type: JobType, failure: BaseException) -> None:
        error = describe(failure)
        if len(job.attempts) <= job.max_retries:
            delay = job_type.retry.delay(len(job.attempts), self._random_source)
            self._store.retry(job, error, delay)
            self._dispatcher.add_later(job, delay)
        else:
            self._store.fail(job, error, format_traceback(failure))


def _is_being_cancelled() -> bool:
    return trio.current_effective_deadline() == -math.inf


def _is_the_handlers_own(error: BaseException) -> bool:
    """Whether it ends just the attempt: sys.exit() in a handler ends that, not the service."""
    if isinstance(error, BaseExceptionGroup):
        return error.split((Exception, SystemExit))[1] is None
    return isinstance(error, (Exception, SystemExit))


def _without_the_handlers_own(interruption: BaseException) -> BaseException:
    """Of a group, only its cancellations, where all else in it is the handler's own.

    A handler with a nursery may raise errors while it is cancelled. They must not end the worker
    when the scope has taken the cancellations out of the group.
    """
    if isinstance(interruption, BaseExceptionGroup):
        cancellations, rest = interruption.split(trio.Cancelled)
        if cancellations is not None and rest is not None and _is_the_handlers_own(rest):
            return cancellations
    return interruption
