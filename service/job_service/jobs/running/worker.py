"""Runs jobs: receives one, runs its handler within its limits, and reports what became of it."""

import math
import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from inspect import isawaitable
from typing import Any

import trio
from structlog.typing import FilteringBoundLogger

from job_service.failures.groups import is_a, is_cancellation, without_cancellation
from job_service.failures.report import Report, describe, report
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import boxed
from job_service.jobs.registration.job_type import JobType
from job_service.jobs.registration.outcome import Discard, Snooze, asked_for
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.cancellation import (
    CLEANUP_SECONDS,
    CancellationDeadline,
    interruption_in,
    is_being_cancelled,
)
from job_service.jobs.running.clean_context import CleanContext
from job_service.jobs.running.hints import explain
from job_service.jobs.running.processes import Processes
from job_service.jobs.running.result import encode_result
from job_service.jobs.running.threads import Threads
from job_service.jobs.state.detail import WorkerView
from job_service.jobs.state.history import said_before
from job_service.jobs.state.model import Attempt, Job
from job_service.jobs.state.transitions import JobStore

GIVE_WAY_SECONDS = 0.000_5


class Worker:
    """Takes jobs from its clone of the workers' channel, one at a time, until the channel closes.

    A worker that is cancelled or crashes leaves no job in `processing`: the one it holds is
    abandoned, as crashed or for the reason that `stop_reason` gives.
    """

    def __init__(
        self,
        id: str,
        jobs: trio.MemoryReceiveChannel[Job],
        registry: Registry,
        store: JobStore,
        dispatcher: Dispatcher,
        log: FilteringBoundLogger,
        stop_reason: Callable[[], str],
        random_source: random.Random,
        started_at: datetime,
        resources: Mapping[str, Any],
        processes: Processes | None,
        threads: Threads,
        cancellation_deadline: CancellationDeadline,
    ) -> None:
        self.id = id
        self.started_at = started_at
        self.jobs_run = 0
        self._jobs = jobs
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._log = log
        self._stop_reason = stop_reason
        self._random_source = random_source
        self._resources = resources
        self._processes = processes
        self._threads = threads
        self._cancellation_deadline = cancellation_deadline
        self._scope = trio.CancelScope()
        self._may_be_interrupted = False  # the attempt in hand, or the last one, by the scope
        self._drained = False
        self._has_asked = False
        self._taken: Job | None = None  # since it asked last
        self._job: Job | None = None  # the one in hand
        self._last_attempt: Attempt | None = None

    async def run(self) -> None:
        """Run jobs until the channel is closed and empty."""
        clean = CleanContext()
        self._token = trio.lowlevel.current_trio_token()
        with self._jobs:
            while not self._drained:
                # Cancelling this scope interrupts the job in hand. It is entered anew only when
                # it has been used: entering costs as much as all the bookkeeping of a job.
                with trio.CancelScope() as self._scope:
                    await self._run_jobs(clean)
                if self._threads.too_many:
                    await self._wait_for_threads()

    def view(self) -> WorkerView:
        """What it does now, and since when."""
        job, attempt = self._job, self._last_attempt
        if job is not None and attempt is not None:
            return WorkerView(
                worker_id=self.id,
                state="busy",
                job_id=job.id,
                job_type=job.type,
                attempt=attempt.number,
                since=attempt.started_at,
            )
        finished_at = attempt.finished_at if attempt is not None else None
        return WorkerView(worker_id=self.id, state="idle", since=finished_at or self.started_at)

    async def _wait_for_threads(self) -> None:
        """Begin no job, but let go of the last one: others may start in its place."""
        if self._taken is not None:
            self._dispatcher.attempt_ended(self._taken)
            self._taken = None
        await self._threads.wait_for_return()

    async def _run_jobs(self, clean: CleanContext) -> None:
        clean.restore()
        self._ask_for_next()
        async for job in self._jobs:
            give_way_at = time.monotonic() + GIVE_WAY_SECONDS
            next_job: Job | None = job
            while next_job is not None:
                self._has_asked, self._taken = False, next_job
                if next_job.status == "pending":  # else it was cancelled on its way here
                    await self._run_attempt(next_job)
                must_step = clean.restore()
                self._ask_for_next()
                next_job = None if must_step else self._next_at_once(give_way_at)
        self._drained = True

    def _next_at_once(self, give_way_at: float) -> Job | None:
        # To wait for a turn of the loop after each job would cost as much as a short job itself,
        # and in a busy loop give the workers less than their share of it.
        too_late = self._may_be_interrupted and self._scope.cancel_called  # for the last job
        if too_late or time.monotonic() >= give_way_at:
            return None
        try:
            return self._jobs.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return None

    def _ask_for_next(self) -> None:
        if not self._has_asked:  # else an interruption came too late for the job it was meant for
            self._has_asked = True
            done, self._taken = self._taken, None
            self._dispatcher.worker_is_free(done)

    async def _run_attempt(self, job: Job) -> None:
        job_type = self._registry.lookup(job.type)
        self.jobs_run += 1
        attempt = self._store.start(job, self.id, self._interrupt)
        self._job, self._last_attempt = job, attempt
        self._may_be_interrupted = job_type.timeout is not None
        if job_type.timeout is not None:
            self._scope.deadline = trio.current_time() + job_type.timeout
            self._cancellation_deadline.expect(
                self, self._scope.deadline + CLEANUP_SECONDS, self._leave_behind
            )
        try:
            result = await self._call_handler(job_type, job, attempt)
        except BaseException as error:
            interruption = interruption_in(error)
            if attempt.finished_at is None:  # else the job has gone on, or ended, without it
                self._end_attempt(job, job_type, error, interruption)
            if interruption is not None:
                raise interruption from None
        else:
            if attempt.finished_at is None:
                self._complete(job, result)
        finally:
            self._job = None
            if self._may_be_interrupted:
                self._cancellation_deadline.forget(self)
                self._scope.deadline = math.inf

    def _interrupt(self) -> None:
        """Called when somebody cancels the job in hand."""
        self._may_be_interrupted = True
        self._scope.cancel()
        by = trio.current_time() + CLEANUP_SECONDS
        self._cancellation_deadline.expect(self, by, self._leave_behind)

    def _leave_behind(self) -> None:
        """The handler does not give in: its job goes on, or ends, and it keeps just this worker."""
        job = self._job
        if job is None:
            return
        late = f"and did not end within {CLEANUP_SECONDS:.0f} s of that"
        if job.cancel_reason is not None:
            self._store.cancel(job, job.cancel_reason, f"TimeoutError: it was cancelled, {late}")
        else:
            job_type = self._registry.lookup(job.type)
            error = TimeoutError(f"the attempt took longer than {job_type.timeout} s, {late}")
            self._retry_or_fail(job, job_type, report(error), error)
        self._taken = None
        self._dispatcher.attempt_ended(job)

    async def _call_handler(self, job_type: JobType, job: Job, attempt: Attempt) -> Any:
        if job_type.runs_in == "process":
            if self._processes is None:
                raise RuntimeError(f"{job_type.name} was registered after the service's start")
            identity = (job.id, job.type, self.id, attempt.number)
            return await self._processes.call(job_type.handler, job.payload, identity)
        arguments = job_type.arguments(
            job.payload, lambda: self._context(job, attempt), self._resources
        )
        if job_type.runs_in == "loop":
            return await job_type.handler(**arguments)
        [result] = await self._threads.call(
            job, attempt, partial(boxed, job_type.handler, arguments)
        )
        return await result if isawaitable(result) else result  # whose decorator hid an async def

    def _context(self, job: Job, attempt: Attempt) -> JobContext:
        report = partial(self._store.progress, job, attempt)
        return JobContext(job.id, job.type, self.id, attempt.number, self._log, report, self._token)

    def _complete(self, job: Job, result: object) -> None:
        try:
            text = encode_result(result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Its work is done, and doing it again would not make its result any better.
            message = f"the result can't be written as JSON: {describe(error)}"
            self._store.fail(job, message, report(error, caller=__file__).traceback)
        else:
            self._store.complete(job, text)

    def _end_attempt(
        self,
        job: Job,
        job_type: JobType,
        error: BaseException,
        interruption: BaseException | None,
    ) -> None:
        """Say what became of an attempt that ended with `error`, and why; first reason first."""
        told = _report(error)
        handlers_error = traceback = None
        if interruption is None or not is_cancellation(error):
            handlers_error, traceback = told
        if interruption is not None and not is_cancellation(interruption):
            self._store.abandon(job, "crashed", handlers_error, traceback)
        elif self._scope.cancel_called and job.cancel_reason is not None:
            self._store.cancel(job, job.cancel_reason, handlers_error, traceback)
        elif self._scope.cancel_called and _discards(error):
            self._store.fail(job, *told)
        elif self._scope.cancel_called:
            message = f"TimeoutError: the attempt took longer than {job_type.timeout} s"
            if handlers_error is not None:
                message += f", and ended with {handlers_error}"
            self._retry_or_fail(job, job_type, told._replace(line=message), TimeoutError(message))
        elif is_being_cancelled():
            self._store.abandon(job, self._stop_reason(), handlers_error, traceback)
        else:
            self._do_as_asked(job, job_type, error, told)

    def _do_as_asked(self, job: Job, job_type: JobType, error: BaseException, told: Report) -> None:
        asked = asked_for(error)
        if asked is None:
            self._retry_or_fail(job, job_type, told, error)
        elif is_a(asked, Snooze):
            self._store.snooze(job, asked.seconds)
            self._dispatcher.add_later(job, asked.seconds)
        else:
            self._store.fail(job, *told)

    def _retry_or_fail(
        self, job: Job, job_type: JobType, told: Report, reason: BaseException
    ) -> None:
        message, traceback = told
        if job.retries < job.max_retries and job_type.retry.is_worth(reason):
            delay, problem = job_type.retry.delay_after(
                reason, job.retries + 1, self._random_source
            )
            if problem is not None:
                message += f"; {problem}"
            message = said_before(message, job.attempts)
            self._store.retry(job, message, traceback, delay)
            self._dispatcher.add_later(job, delay)
        else:
            self._store.fail(job, message, traceback)


def _discards(error: BaseException) -> bool:
    asked = asked_for(error)
    return asked is not None and is_a(asked, Discard)


def _report(error: BaseException) -> Report:
    error = without_cancellation(error)
    told = report(error, caller=__file__)  # from the handler on
    return told._replace(line=explain(error, told.line))
