"""Holds back what the live jobs say while one call changes them, until that is kept."""

from collections.abc import Callable
from typing import Final

from job_service.jobs.state.live_jobs import JobReceiver
from job_service.jobs.state.model import Job
from job_service.stores.commit import Act
from job_service.telemetry.events import (
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEvent,
    JobFailed,
    JobReleased,
    JobRescued,
    JobRetried,
    JobSnoozed,
    JobStarted,
)

_ENDS: Final = (JobCompleted, JobFailed, JobCancelled, JobAbandoned)
_MOVES: Final = (JobStarted, JobRetried, JobSnoozed, JobReleased, JobRescued)
# All others, such as of progress, tell what need not be kept.
_KEPT: Final = frozenset({JobCreated, *_MOVES, *_ENDS})
_CREATED_OR_ENDED: Final = frozenset({JobCreated, *_ENDS})


class Outbox:
    """Takes the events of the live jobs, and what their runner must know, into the act under way.

    A job of which an event tells has changed, and is to be kept with the act. `say` is called with
    the event when the act is told, and so is `runner`.
    """

    def __init__(self, say: Callable[[Event], None], runner: JobReceiver) -> None:
        self._say = say
        self.runner = runner
        self.find: Callable[[str], Job | None] = lambda _: None
        self._act = Act()

    def begin(self) -> Act:
        """A call is under way from now on: what follows is its."""
        self._act = Act()
        return self._act

    def emit(self, event: Event) -> None:
        """An event of the call that is under way."""
        act, kind = self._act, type(event)
        act.calls.append((self._say, (event,)))
        if kind in _KEPT and isinstance(event, JobEvent):
            job = self.find(event.job_id)
            if job is not None:
                act.jobs[job.id] = job
                if kind in _CREATED_OR_ENDED:
                    (act.created if kind is JobCreated else act.ended).append(job)

    def add(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self._act.calls.append((self.runner.add, (job, ready_in)))

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """Tell the runner later."""
        self._act.calls.append((self.runner.attempt_ended, (job, ready_in)))

    def discard(self, job: Job) -> None:
        """Tell the runner later."""
        self._act.calls.append((self.runner.discard, (job,)))


def is_of(call: tuple[object, tuple[object, ...]], job: Job) -> bool:
    """Whether a call of an act tells of this job."""
    told = call[1][0]
    return told is job or (isinstance(told, JobEvent) and told.job_id == job.id)
