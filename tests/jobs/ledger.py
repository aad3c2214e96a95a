"""A reader of the log who knows the rules, and objects as soon as a line breaks one of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET

from job_service.telemetry.events import (
    AttemptEvent,
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDuplicate,
    JobEdited,
    JobEnqueued,
    JobEvent,
    JobFailed,
    JobRetried,
    JobSnoozed,
    JobStarted,
    QueuePaused,
    QueueResumed,
)
from tests.jobs.steps import ENDINGS

WAITS = "waits"  # for its time, or for other jobs
READY = "ready"
RUNS = "runs"


@dataclass
class Entry:
    """One job, as the log tells of it. `state` is as above, or the name of the event that ended it.

    `not_before` is when it may start, `attempts` how many have begun.
    """

    id: str
    type: str
    unique_key: str | None
    after: tuple[str, ...]
    not_before: datetime
    state: str = WAITS
    attempts: int = 0
    worker_id: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its end has been told."""
        return self.state in ENDINGS


class Ledger:
    """All jobs that the log has told of; `limits` is how many of a type may run at a time.

    A job that is `on_its_way` to a worker when its type is paused may still start; one that was
    `called_off` while it ran may still complete, but not come back.
    """

    def __init__(self, *, workers: int, capacity: int, limits: dict[str, int]) -> None:
        self.workers = workers
        self.capacity = capacity
        self.limits = limits
        self.jobs: dict[str, Entry] = {}
        self.told: Counter[str] = Counter()
        self.paused: set[str | None] = set()  # None is the whole queue
        self.on_its_way: set[str] = set()
        self.called_off: set[str] = set()
        self.is_ending = False
        self._read = 0

    @property
    def room(self) -> int:
        """How many more jobs may wait; may be below 0, for retries."""
        return self.capacity - len(self.in_state(WAITS, READY))

    def in_state(self, *states: str, job_type: str | None = None) -> list[Entry]:
        """The jobs in one of these states, and of this type if it matters."""
        return [
            job
            for job in self.jobs.values()
            if job.state in states and job_type in (None, job.type)
        ]

    def holder(self, job_type: str, unique_key: str) -> Entry | None:
        """Who holds the key."""
        holders = [
            job
            for job in self.in_state(WAITS, READY, RUNS, job_type=job_type)
            if job.unique_key == unique_key
        ]
        assert len(holders) <= 1, "a unique key is held by two"
        return holders[0] if holders else None

    def may_start(self, job_type: str) -> bool:
        """Whether a ready job of this type has to wait for nothing but a free worker."""
        running = len(self.in_state(RUNS, job_type=job_type))
        is_paused = None in self.paused or job_type in self.paused
        return not is_paused and running < self.limits.get(job_type, self.workers)

    def read(self, events: Sequence[Event]) -> None:
        """Take note of what has come to these events since the last time, in its order."""
        news, self._read = events[self._read :], len(events)
        for event in news:
            self.told[event.event] += 1
            match event:
                case JobCreated():
                    self._created(event)
                case JobDuplicate(job_id=job_id, job_type=job_type, unique_key=unique_key):
                    holder = self.holder(job_type, unique_key)
                    assert holder is not None, "nobody holds this key"
                    assert holder.id == job_id
                case QueuePaused(job_type=job_type):
                    self.paused.add(None if job_type is UNSET else str(job_type))
                case QueueResumed(job_type=job_type):
                    self.paused.discard(None if job_type is UNSET else str(job_type))
                case JobEvent():
                    job = self.jobs[event.job_id]
                    assert not job.has_ended, "an end is final"
                    self._went_on(job, event)

    def _created(self, event: JobCreated) -> None:
        assert event.job_id not in self.jobs, "a job is created once"
        unique_key = None if event.unique_key is UNSET else str(event.unique_key)
        if unique_key is not None:
            assert self.holder(event.job_type, unique_key) is None, "the unique key is held"
        assert self.room > 0, "the queue is full"
        self.jobs[event.job_id] = Entry(
            id=event.job_id,
            type=event.job_type,
            unique_key=unique_key,
            after=event.after or (),
            not_before=event.run_at or event.timestamp,
        )

    def _went_on(self, job: Entry, event: JobEvent) -> None:
        if isinstance(event, AttemptEvent) and not isinstance(event, JobStarted):
            assert (job.state, job.worker_id) == (RUNS, event.worker_id)
            assert job.attempts == event.attempt
        if job.id in self.called_off:
            assert isinstance(event, JobCompleted | JobCancelled | JobAbandoned)
        match event:
            case JobEdited():
                self._edited(job, event)
            case JobEnqueued():
                assert job.state == WAITS
                assert event.timestamp >= job.not_before, "it is too early"
                assert all(self.jobs[other].state == "job_completed" for other in job.after)
                job.state = READY
            case JobStarted():
                self._started(job, event)
            case (
                JobRetried(timestamp=now, retry_in_seconds=seconds)
                | JobSnoozed(timestamp=now, snooze_seconds=seconds)
            ):
                job.state, job.not_before = WAITS, now + timedelta(seconds=seconds)
            case JobCompleted() | JobFailed() | JobCancelled() | JobAbandoned():
                self._ended(job, event)

    def _edited(self, job: Entry, event: JobEdited) -> None:
        assert job.state in (WAITS, READY)
        if event.wait_seconds is not UNSET:
            assert job.state == READY
            job.state = WAITS
        if event.run_at is not UNSET:
            job.not_before = event.run_at

    def _started(self, job: Entry, event: JobStarted) -> None:
        assert job.state == READY
        if job.id not in self.on_its_way:
            assert self.may_start(job.type), "it is paused, or too many of its type run"
        assert event.worker_id not in {other.worker_id for other in self.in_state(RUNS)}
        assert len(self.in_state(RUNS)) < self.workers
        assert len(self.in_state(RUNS, job_type=job.type)) < self.limits.get(job.type, self.workers)
        self.on_its_way.discard(job.id)
        job.attempts += 1
        assert event.attempt == job.attempts
        job.state, job.worker_id = RUNS, event.worker_id

    def _ended(
        self, job: Entry, event: JobCompleted | JobFailed | JobCancelled | JobAbandoned
    ) -> None:
        if job.state == RUNS:
            assert (event.worker_id, event.attempt) == (job.worker_id, job.attempts)
        else:
            assert event.worker_id is UNSET
        if isinstance(event, JobFailed) and job.state != RUNS:
            assert job.state == WAITS
            assert self.obstacles(job), "nothing has kept it from starting"
        if isinstance(event, JobAbandoned):
            assert self.is_ending
        job.state = event.event

    def awaits_others(self, job_id: str) -> bool:
        """Whether one of the jobs that it comes after has not ended."""
        return any(not self.jobs[other].has_ended for other in self.jobs[job_id].after)

    def obstacles(self, job: Entry) -> list[Entry]:
        """Those of the jobs that it comes after which have ended, and not completed."""
        before = [self.jobs[other] for other in job.after]
        return [other for other in before if other.has_ended and other.state != "job_completed"]

    def nothing_is_overlooked(self, now: datetime, busy_workers: int) -> None:
        """Where all is quiet, check that no job waits that could go on.

        A worker may be busy with a handler that its job has left behind, of which no line tells.
        """
        assert busy_workers >= len(self.in_state(RUNS))
        is_free = busy_workers < self.workers
        for job in self.in_state(READY):
            assert not (is_free and self.may_start(job.type)), "a worker is free for it"
        for job in self.in_state(WAITS):
            assert not self.obstacles(job), "it should have failed"
            completed = all(self.jobs[other].state == "job_completed" for other in job.after)
            assert not completed or job.not_before > now, "it should be ready"
