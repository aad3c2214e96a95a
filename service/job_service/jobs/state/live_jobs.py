"""The jobs that this process holds, and the one place that changes them: `apply`.

Nothing here has a checkpoint, so on Trio applying a change is atomic: the job, the index, the event
and what whoever runs the jobs must know of it are one act. No cancellation and no other task comes
between them, and nobody can see one without the others.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

from job_service.failures.report import MAX_KEPT_TRACEBACK_CHARS
from job_service.jobs.state.capacity import Capacity
from job_service.jobs.state.changes import (
    AttemptEnd,
    CancelRequest,
    Change,
    Creation,
    Edited,
    LineLogged,
    ProgressReport,
    Readiness,
    Start,
    UnstartedEnd,
)
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import Dependencies, failed_dependency, why_unstarted
from job_service.jobs.state.job_log import with_line
from job_service.jobs.state.kept_attempts import forget_what_is_between, without_many_between
from job_service.jobs.state.live_groups import LiveGroups
from job_service.jobs.state.model import TERMINAL, Ending, Job
from job_service.jobs.state.progress import Meter
from job_service.jobs.state.state_index import StateIndex
from job_service.jobs.state.transitions import fail_unstarted
from job_service.telemetry.events import Event


class JobReceiver(Protocol):
    """Who is told which jobs wait for a worker, and what has become of them. None of it may wait.

    All that a store needs of it beside is in the `Runner` of `stores.contract`.
    """

    def add(self, job: Job, ready_in: float | None, /) -> None:
        """The pending job waits for nothing but its time and a worker, from now on.

        Its time comes in `ready_in` seconds, or by its date if that is None.
        """

    def attempt_ended(self, job: Job, ready_in: float | None, /) -> None:
        """An attempt is over; if the job comes back, it is to be ready in so many seconds."""

    def discard(self, job: Job, /) -> None:
        """The job has ended without a run that was under way."""


class LiveJobs:
    """Holds the jobs of a store, applies what was decided on them, and bounds how much they are."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        runner: JobReceiver,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: float,
        retain_bytes: float,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self.runner = runner
        self.index = StateIndex(retain, retain_bytes)
        self.capacity = Capacity(self.index, emit, clock, capacity, capacity_bytes)
        self.dependencies = Dependencies()
        self.groups = LiveGroups(emit, clock, self._create, self.index.weigh)
        self._appliers: dict[type[Change], Callable[[Any], None]] = {
            Creation: self._create,
            Readiness: self._make_ready,
            Edited: self._edit,
            Start: self._start,
            AttemptEnd: self._end_attempt,
            UnstartedEnd: self._end_unstarted,
            ProgressReport: self._note_progress,
            LineLogged: self._note_line,
            CancelRequest: self._interrupt,
        }

    def apply(self, change: Change) -> None:
        """Let it happen, tell of it, and let follow what follows from it.

        Nothing happens if the job has moved on since the change was decided, as it may when the
        service's end comes from another thread.
        """
        self._appliers[type(change)](change)

    def unfinished(self) -> Iterator[Job]:
        """The jobs that have not ended, the oldest first; they may change meanwhile."""
        return (job for job in list(self.index.jobs) if job.status not in TERMINAL)

    def restore(self, job: Job) -> None:
        """Take in a job from what is kept, which has not ended, without a word."""
        to, job.status = job.status, "pending"
        self.index.add(job)
        if to == "processing":
            self.index.move(job, to, job.created_at)
        if job.group is not None:
            self.groups.join(job)

    def withdraw(self, job: Job) -> None:
        """A job that was created, and of which nobody knows, was never made."""
        self.dependencies.discard(job)
        self.index.drop(job)

    def ending_of(self, job: Job) -> Ending:
        """What says how the job has ended, as soon as it has."""
        if job.ending is None:
            job.ending = Ending()
            if job.finished_at is not None:
                job.ending.come(job.status, job.finished_at)
        return job.ending

    def _create(self, change: Creation) -> None:
        job = change.job
        self.index.add(job)
        self._emit(change.event)
        if change.predecessors:
            failed = failed_dependency(change.predecessors)
            if failed is not None:
                self.apply(fail_unstarted(job, why_unstarted(failed), self._clock))
                return
            self.dependencies.add(job, change.predecessors)
            if job.awaits is not None:
                return
        self._offer(job)

    def _make_ready(self, change: Readiness) -> None:
        if change.job.status != "pending":
            return
        change.job.ready_monotonic = change.since
        if change.event is not None:
            self._emit(change.event)

    def _edit(self, change: Edited) -> None:
        job = change.job
        if job.status != "pending":
            return
        job.edits += 1
        job.edited_at, job.edited_by = change.event.timestamp, change.by
        if change.run_at is not None:
            job.run_at, job.due_monotonic = change.run_at, None
        if change.priority is not None:
            job.priority = change.priority
        if change.payload is not None:
            job.payload, job.limit_key = change.payload, change.limit_key
            self.index.reweigh(job)
        if change.is_moved:
            job.ready_monotonic = None
        self._emit(change.event)
        if change.is_moved and job.awaits is None:
            self.runner.add(job, None)

    def _start(self, change: Start) -> None:
        job, attempt = change.job, change.attempt
        if job.status != "pending":
            attempt.is_over = True
            return
        self.index.move(job, "processing", attempt.started_at)
        job.ready_monotonic = None
        job.runs = attempt.number
        job.attempts = (*job.attempts, attempt)
        job.meter = None
        self._emit(change.event)
        if self.capacity.is_full:
            self.capacity.eased()

    def _end_attempt(self, change: AttemptEnd) -> None:
        job, attempt, to = change.job, change.attempt, change.to
        if attempt.finished_at is not None or job.status != "processing":
            return
        attempt.is_over = True
        attempt.finished_at = change.finished_at
        attempt.run_seconds = change.run_seconds
        attempt.outcome = change.outcome
        attempt.error = change.error
        attempt.interrupt = _too_late
        if change.traceback is not None:
            attempt.traceback = change.traceback[-MAX_KEPT_TRACEBACK_CHARS:]
            forget_what_is_between(job.attempts)
        job.result = change.result
        if change.outcome != "completed":
            self._note_no_success(change)
        self.index.move(job, to, change.finished_at)
        self._emit(change.event)
        if self.capacity.is_full:
            self.capacity.eased()
        self.runner.attempt_ended(job, change.ready_in)
        if job.successors and to in TERMINAL:
            self._follow(job)
        if job.group is not None and to in TERMINAL:
            self.groups.note_end(job)

    def _note_no_success(self, change: AttemptEnd) -> None:
        job = change.job
        if change.ready_in is not None:
            job.run_at = change.finished_at + timedelta(seconds=change.ready_in)
        if change.outcome == "snoozed":
            job.snoozes += 1
        elif change.outcome == "interrupted":
            job.interruptions += 1
        elif change.outcome == "lost":
            job.losses += 1
        else:
            return
        job.attempts = without_many_between(job.attempts, change.outcome)

    def _end_unstarted(self, change: UnstartedEnd) -> None:
        if change.job.status != "pending":
            return
        self._end_alone(change)
        if change.job.successors:
            self._follow(change.job)

    def _end_alone(self, change: UnstartedEnd) -> None:
        job = change.job
        job.failure, job.cancel_by = change.failure, change.by
        job.ready_monotonic = None
        self.dependencies.discard(job)
        self.index.move(job, change.to, change.finished_at)
        self._emit(change.event)
        if self.capacity.is_full:
            self.capacity.eased()
        self.runner.discard(job)
        if job.group is not None:
            self.groups.note_end(job)

    def _note_progress(self, change: ProgressReport) -> None:
        job = change.job
        if job.status != "processing":
            return
        if job.meter is None:
            job.meter = Meter(change.progress)
        job.meter.note(change.progress, change.told_at)
        if change.event is not None:
            self._emit(change.event)

    def _note_line(self, change: LineLogged) -> None:
        if change.attempt.is_over:
            return
        change.attempt.log = with_line(change.attempt.log, change.line)
        if change.event is not None:
            self._emit(change.event)

    def _interrupt(self, change: CancelRequest) -> None:
        job = change.job
        if job.status == "processing" and not job.attempts[-1].is_over:
            job.cancel_reason, job.cancel_by = change.reason, change.by
            job.attempts[-1].interrupt()

    def _offer(self, job: Job) -> None:
        due, job.due_monotonic = job.due_monotonic, None
        self.runner.add(job, None if due is None else due - self._clock.monotonic())

    def _follow(self, ended: Job) -> None:
        """Let go on what awaited this job, or fail it, and then what came after that.

        The end of the service is no failure: it leaves what comes after a job behind, too.
        """
        if ended.status == "abandoned":
            return
        all_ended = [ended]
        while all_ended:  # no recursion, because a chain may be long
            predecessor = all_ended.pop()
            for job in self.dependencies.end(predecessor):
                if predecessor.status == "completed":
                    self._offer(job)
                else:
                    why = why_unstarted(predecessor)
                    self._end_alone(fail_unstarted(job, why, self._clock))
                    all_ended.append(job)


def _too_late() -> None:
    """An ended attempt can't be interrupted."""
