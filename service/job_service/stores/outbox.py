"""Holds back what the live jobs say while one call changes them, until that is kept."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET

from job_service.jobs.state.group import Standing
from job_service.jobs.state.live_jobs import JobReceiver, LiveJobs
from job_service.jobs.state.model import Job
from job_service.stores.unit_of_work import Call, UnitOfWork
from job_service.telemetry.events import (
    Event,
    GroupEvent,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEdited,
    JobEnqueued,
    JobEvent,
    JobFailed,
    JobReleased,
    JobRescued,
    JobRetried,
    JobSnoozed,
    JobStarted,
)

_ENDS: Final = frozenset({JobCompleted, JobFailed, JobCancelled, JobAbandoned})
_MOVES: Final = (JobStarted, JobRetried, JobSnoozed, JobReleased, JobRescued)
# All others, such as of progress, tell what need not be kept.
_KEPT: Final = frozenset({JobCreated, JobEdited, *_MOVES, *_ENDS})


class Outbox:
    """Takes the events of the live jobs, and what their runner must know, into the unit under way.

    A job of which an event tells has changed, and is to be kept with the unit. `find` gives it.
    `say` is called at once with what need not wait for that. `unit` is the one under way, or else
    the last one.
    """

    def __init__(self, say: Callable[[Event], None], runner: JobReceiver) -> None:
        self._say = say
        self.runner = runner
        self.find: Callable[[str], Job | None] = lambda _: None
        self.unit = UnitOfWork()

    def begin(self) -> UnitOfWork:
        """A call is under way from now on: what follows is its."""
        self.unit = unit = UnitOfWork()
        return unit

    def emit(self, event: Event) -> None:
        """An event of the call that is under way."""
        unit, kind = self.unit, type(event)
        # That a job is ready is found anew, and decided when all is told that came before of it.
        if kind is JobEnqueued:
            self._say(event)
            return
        unit.told.append(event)
        if kind in _KEPT and isinstance(event, JobEvent):
            job = self.find(event.job_id)
            if job is not None:
                unit.jobs[job.id] = job
                if kind in _ENDS:
                    unit.ended.append(job)
                elif kind is JobCreated:
                    unit.created.append(job)
                elif kind is JobEdited:
                    unit.edited.append(job)

    def keep_group(self, group_id: str, standing: Standing) -> None:
        """A group has changed in the call that is under way."""
        self.unit.groups[group_id] = standing

    def add(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self.unit.told.append((self.runner.add, job, ready_in))

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self.unit.told.append((self.runner.attempt_ended, job, ready_in))

    def discard(self, job: Job) -> None:
        """Tell the runner later."""
        self.unit.told.append((self.runner.discard, job))


def withdraw(units: deque[UnitOfWork], live: LiveJobs) -> list[object]:
    """Undo all that these units have created, of which nobody knows. What was kept beside it."""
    submissions = [unit for unit in units if unit.is_submission]
    groups = {group_id for unit in submissions for group_id in unit.groups}
    withdrawn = [
        job
        for unit in units
        for job in unit.created
        if unit.is_submission or job.callback_of in groups  # else it follows on what is kept
    ]
    ids = groups.union(job.id for job in withdrawn)
    undone = list[object]()
    for unit in list(units):
        if unit.is_submission:
            undone += unit.beside
            unit.beside = []
            if not unit.edited:  # what a job was put off for stands: it can't be taken back
                units.remove(unit)
                continue
        unit.told = [each for each in unit.told if _id_of(each) not in ids]
        unit.jobs = {job_id: job for job_id, job in unit.jobs.items() if job_id not in ids}
        unit.created = [job for job in unit.created if job.id not in ids]
        unit.ended = [job for job in unit.ended if job.id not in ids]
        unit.edited = [job for job in unit.edited if job.id not in ids]
        unit.groups = {key: each for key, each in unit.groups.items() if key not in ids}
    for job in reversed(withdrawn):
        live.withdraw(job)
    for group_id in groups:
        live.groups.discard(group_id)
    return undone


def abandonments(units: Iterable[UnitOfWork], reason: str, now: datetime) -> Iterator[JobAbandoned]:
    """The last word on each job of which these units, which can't be kept, would have told."""
    said = set[str]()
    for unit in units:
        for event in unit.told:
            if not isinstance(event, JobEvent) or event.job_id in said:
                continue
            if type(event) in _KEPT:
                said.add(event.job_id)
                if not isinstance(event, JobCreated):  # of which nobody knows
                    yield _abandonment(event, reason, now)


def _abandonment(event: JobEvent, reason: str, now: datetime) -> JobAbandoned:
    ran = getattr(event, "run_seconds", UNSET)
    return JobAbandoned(
        timestamp=now,
        job_id=event.job_id,
        job_type=event.job_type,
        reason=reason,
        worker_id=UNSET if ran is UNSET else getattr(event, "worker_id", UNSET),
        attempt=UNSET if ran is UNSET else getattr(event, "attempt", UNSET),
        run_seconds=ran,
        wait_seconds=getattr(event, "wait_seconds", UNSET),
    )


def _id_of(told: Event | Call) -> str | None:
    """Of the job or the group that it tells of."""
    if isinstance(told, tuple):
        return told[1].id
    if isinstance(told, GroupEvent):
        return told.group_id
    return told.job_id if isinstance(told, JobEvent) else None
