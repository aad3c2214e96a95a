"""Runs jobs: receives one, runs its handler within its limits, and hands over what became of it."""

import math
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import trio
from structlog.typing import FilteringBoundLogger

from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.registration.context import JobContext, RunFacts
from job_service.jobs.registration.job_type import JobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.calls import Calls
from job_service.jobs.running.cancellation import (
    CLEANUP_SECONDS,
    CancellationDeadline,
    interruption_in,
    is_being_cancelled,
)
from job_service.jobs.running.clean_context import CleanContext
from job_service.jobs.running.threads import Threads
from job_service.jobs.running.verdict import Verdicts
from job_service.jobs.state.attempt_reports import log_line, progress
from job_service.jobs.state.attempt_transitions import start
from job_service.jobs.state.changes import AttemptEnd
from job_service.jobs.state.model import Attempt, IllegalTransition, Job
from job_service.jobs.state.progress import Progress
from job_service.jobs.state.views import WorkerView
from job_service.stores.contract import Store

TURN_SECONDS = 0.000_5  # of short jobs in a row, before others have their turn


class Worker:
    """Takes jobs from its clone of the workers' channel, one at a time, until the channel closes.

    It never waits for the store: what became of an attempt is handed over, and the next one begins.
    A worker that is cancelled or crashes leaves no job in `processing`, because that is handed over
    before the error goes on.
    """

    def __init__(
        self,
        id: str,
        jobs: trio.MemoryReceiveChannel[Job],
        registry: Registry,
        store: Store,
        dispatcher: Dispatcher,
        verdicts: Verdicts,
        log: FilteringBoundLogger,
        calls: Calls,
        threads: Threads,
        cancellation_deadline: CancellationDeadline,
    ) -> None:
        self.id = id
        self.started_at = store.clock.now()
        self.jobs_run = 0
        self._jobs = jobs
        self._registry = registry
        self._store = store
        self._clock = store.clock
        self._dispatcher = dispatcher
        self._verdicts = verdicts
        self._log = log
        self._calls = calls
        self._threads = threads
        self._cancellation_deadline = cancellation_deadline
        self._scope = trio.CancelScope()
        self._may_be_interrupted = False  # the attempt in hand, or the last one, by the scope
        self._drained = False
        self._has_asked = False
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
                    await self._threads.wait_for_return()

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

    def job_in_hand(self) -> tuple[str, str, str] | None:
        """The job that it runs, its type and this worker, for whoever looks at its frames."""
        job = self._job
        return None if job is None else (job.id, job.type, self.id)

    async def _run_jobs(self, clean: CleanContext) -> None:
        clean.restore()
        self._ask_for_next()
        async for job in self._jobs:
            give_way_at = time.monotonic() + TURN_SECONDS
            next_job: Job | None = job
            while next_job is not None:
                self._has_asked = False
                # It may have been cancelled on its way here.
                if next_job.status == "pending":
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
            self._dispatcher.worker_is_free()

    async def _run_attempt(self, job: Job) -> None:
        job_type = self._registry.lookup(job.type)
        self.jobs_run += 1
        begin = start(job, self.id, self._interrupt, self._clock)
        attempt = begin.attempt
        self._store.apply(begin)
        self._job, self._last_attempt = job, attempt
        self._may_be_interrupted = False
        try:
            if job.is_recovered or job_type.limits.starts is not None:
                await self._note_start(job, attempt)
            if job_type.timeout is not None:
                self._end_by(trio.current_time() + job_type.timeout)
            make_context = partial(self._context, job_type, job, attempt)
            result = await self._calls.call(job_type, job, attempt, make_context)
        except BaseException as error:
            interruption = interruption_in(error)
            verdict = partial(
                self._verdicts.on_error,
                *(job, attempt, job_type, error),
                interruption=interruption,
                interrupted=self._scope.cancel_called,
                stopping=is_being_cancelled(),
            )
            self._end(attempt, verdict)
            if interruption is not None:
                raise interruption from None
        else:
            if not attempt.is_over:
                try:  # what `_end` does, whose call would be seen in the time of each job
                    change = self._verdicts.on_return(job, attempt, job_type, result)
                except IllegalTransition:
                    pass
                else:
                    self._store.apply(change)
        finally:
            self._job = None
            if self._may_be_interrupted:
                self._cancellation_deadline.forget(self)
                self._scope.deadline = math.inf

    async def _note_start(self, job: Job, attempt: Attempt) -> None:
        """See to it that this start is counted."""
        self._dispatcher.began(job, attempt.started_monotonic)
        if job.is_recovered:  # perhaps it ends the process, which must be counted then
            await self._store.settled()

    def _end(self, attempt: Attempt, verdict: Callable[[], AttemptEnd]) -> None:
        """Hand over what became of the attempt, unless its job has gone on or ended without it."""
        if attempt.is_over:
            return
        try:
            change = verdict()
        except IllegalTransition:  # the service's end came meanwhile, from another thread
            return
        self._store.apply(change)

    def _end_by(self, deadline: float) -> None:
        """Interrupt the attempt then."""
        self._may_be_interrupted = True
        self._scope.deadline = deadline
        by = deadline + CLEANUP_SECONDS
        self._cancellation_deadline.expect(self, by, self._leave_behind)

    def _interrupt(self) -> None:
        """Called when somebody cancels the job in hand."""
        self._may_be_interrupted = True
        self._scope.cancel()
        by = trio.current_time() + CLEANUP_SECONDS
        self._cancellation_deadline.expect(self, by, self._leave_behind)

    def _leave_behind(self) -> None:
        """The handler does not give in: its job goes on, or ends, and it keeps just this worker."""
        job, attempt = self._job, self._last_attempt
        if job is not None and attempt is not None:
            job_type = self._registry.lookup(job.type)
            self._end(attempt, partial(self._verdicts.on_outlasting, job, attempt, job_type))

    def _context(self, job_type: JobType, job: Job, attempt: Attempt) -> JobContext:
        deadline = None
        if job_type.timeout is not None:
            seconds_left = self._scope.deadline - trio.current_time()
            deadline = self._clock.now() + timedelta(seconds=seconds_left)
        facts = RunFacts(
            id=job.id,
            type=job.type,
            worker_id=self.id,
            attempt=attempt.number,
            max_retries=job.max_retries,
            is_last_attempt=job.retries >= job.max_retries,
            created_at=job.created_at,
            scheduled_for=job.scheduled_for,
            unique_key=job.unique_key,
            deadline=deadline,
            group=job.group,
            callback_of=job.callback_of,
        )
        report = partial(self._note_progress, job, attempt)
        keep_line = partial(self._keep_line, job, attempt)
        return JobContext(facts, self._log, report, keep_line, self._token)

    def _note_progress(self, job: Job, attempt: Attempt, report: Progress) -> None:
        if not attempt.is_over:  # else nobody listens any more
            self._store.apply(progress(job, attempt, report, self._clock))

    def _keep_line(
        self, job: Job, attempt: Attempt, level: str, event: str, fields: bytes | None
    ) -> None:
        try:
            change = log_line(job, attempt, level, event, fields, self._clock)
        except IllegalTransition:  # the attempt is over
            return
        self._store.apply(change)


_ROOM: Final = str(Path(__file__).parent) + os.sep


def job_of_frame(frame: FrameType) -> tuple[str, str, str] | None:
    """The job that runs in this frame, its type and its worker; None if none begins there.

    That is the frame of a worker, or of a task on the asyncio loop.

    It is for the thread that looks at a stalled loop, and costs a job nothing.
    """
    if not frame.f_code.co_filename.startswith(_ROOM):
        return None
    job_in_hand = getattr(frame.f_locals.get("self"), "job_in_hand", None)
    return None if job_in_hand is None else job_in_hand()
