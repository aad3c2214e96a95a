"""Holds back what the live jobs say while one call changes them, until that is kept."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET

from job_service.jobs.state.live_jobs import JobReceiver, LiveJobs
from job_service.jobs.state.model import Job
from job_service.stores.commit import Act, Call
from job_service.telemetry.events import (
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEnqueued,
    JobEvent,
    JobFailed,
    JobRecovered,
    JobReleased,
    JobRescued,
    JobRetried,
    JobSnoozed,
    JobStarted,
)

_ENDS: Final = frozenset({JobCompleted, JobFailed, JobCancelled, JobAbandoned})
_MOVES: Final = (JobStarted, JobRetried, JobSnoozed, JobReleased, JobRescued)
# That a job is ready is found anew, and decided when all is told that came before of that job.
_AT_ONCE: Final = frozenset({JobEnqueued, JobRecovered})
# All others, such as of progress, tell what need not be kept.
_KEPT: Final = frozenset({JobCreated, *_MOVES, *_ENDS})


class Outbox:
    """Takes the events of the live jobs, and what their runner must know, into the act under way.

    A job of which an event tells has changed, and is to be kept with the act. `find` gives it.
    `say` is called at once with what need not wait for that.
    """

    def __init__(self, say: Callable[[Event], None], runner: JobReceiver) -> None:
        self._say = say
        self.runner = runner
        self.find: Callable[[str], Job | None] = lambda _: None
        self._act = Act()

    def begin(self) -> Act:
        """A call is under way from now on: what follows is its."""
        self._act = act = Act()
        return act

    def emit(self, event: Event) -> None:
        """An event of the call that is under way."""
        act, kind = self._act, type(event)
        if kind in _AT_ONCE:
            self._say(event)
            return
        act.told.append(event)
        if kind in _KEPT and isinstance(event, JobEvent):
            job = self.find(event.job_id)
            if job is not None:
                act.jobs[job.id] = job
                if kind in _ENDS:
                    act.ended.append(job)
                elif kind is JobCreated:
                    act.created.append(job)

    def add(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self._act.told.append((self.runner.add, job, ready_in))

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self._act.told.append((self.runner.attempt_ended, job, ready_in))

    def discard(self, job: Job) -> None:
        """Tell the runner later."""
        self._act.told.append((self.runner.discard, job))


def withdraw(acts: deque[Act], live: LiveJobs) -> list[object]:
    """Undo all that these acts have created, of which nobody knows. What was kept beside it."""
    withdrawn = [job for act in acts for job in act.created]
    ids = {job.id for job in withdrawn}
    undone = list[object]()
    for act in list(acts):
        if act.created or act.is_submission:
            acts.remove(act)
            undone += act.beside
            continue
        act.told = [each for each in act.told if _job_id_of(each) not in ids]
        act.jobs = {job_id: job for job_id, job in act.jobs.items() if job_id not in ids}
        act.ended = [job for job in act.ended if job.id not in ids]
    for job in reversed(withdrawn):
        live.withdraw(job)
    return undone


def abandonments(acts: Iterable[Act], reason: str, now: datetime) -> Iterator[JobAbandoned]:
    """The last word on each job of which these acts, which can't be kept, would have told."""
    said = set[str]()
    for act in acts:
        for event in act.told:
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


def _job_id_of(told: Event | Call) -> str | None:
    if isinstance(told, tuple):
        return told[1].id
    return told.job_id if isinstance(told, JobEvent) else None
