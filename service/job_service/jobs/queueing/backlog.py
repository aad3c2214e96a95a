"""The pending jobs in the order in which workers are to have them."""

from collections.abc import Callable
from datetime import datetime

from job_service.jobs.queueing.later import LaterJobs
from job_service.jobs.queueing.ready import ReadyQueue
from job_service.jobs.state.model import Job


class Backlog:
    """Ready jobs by priority and then first in, first out; later ones by when they are due.

    A job type whose jobs may have to be held back, for `limit_of` bounds how many run at a time
    or for it is paused, has a queue of its own, so that they never stand in the way of others.

    There is no bound on all this: submissions are bounded where they come in, and a retry must
    never be lost. A job is `delayed` for so many seconds, on Trio's clock, or `dated`, on the wall
    clock, which may be set, and goes on while the machine is suspended.
    """

    def __init__(self, limit_of: Callable[[str], int | None]) -> None:
        self.paused = False
        self._limit_of = limit_of
        self._common = ReadyQueue()
        self._of_type: dict[str, ReadyQueue] = {}  # which is `_common` for most
        self._own: dict[str, ReadyQueue] = {}  # those of `_of_type` that are not
        self._waiting: dict[str, ReadyQueue] = {}  # those of `_own` that have jobs in them
        self.delayed = LaterJobs[float]()
        self.dated = LaterJobs[datetime]()

    @property
    def ready(self) -> int:
        """How many jobs could start at once, but for pauses and limits."""
        return len(self._common) + sum(map(len, self._own.values()))

    @property
    def held(self) -> int:
        """How many of the ready jobs can't start for a pause."""
        if self.paused:
            return self.ready
        return sum(len(queue) for queue in self._own.values() if queue.paused)

    @property
    def later(self) -> int:
        """How many jobs are not due yet."""
        return len(self.delayed) + len(self.dated)

    @property
    def paused_types(self) -> list[str]:
        """The job types that are paused, sorted."""
        return sorted(job_type for job_type, queue in self._own.items() if queue.paused)

    @property
    def oldest_ready(self) -> float:
        """Since when the job is ready that has waited longest; infinity where there is none."""
        return min(queue.oldest for queue in (self._common, *self._own.values()))

    def starts_any_by(self, deadline: float, date: datetime) -> bool:
        """Whether one of the later jobs is due by then, and not held back for a pause.

        `date` is what the wall clock will show at the `deadline`.
        """
        return self.delayed.any_by(deadline, self._is_free) or self.dated.any_by(
            date, self._is_free
        )

    def is_paused(self, job: Job) -> bool:
        """Whether the job can't start for a pause."""
        queue = self._own.get(job.type)
        return self.paused or (queue is not None and queue.paused)

    def queue_of(self, job: Job) -> ReadyQueue:
        """Where the job is once it is ready, among others that it may have to wait for."""
        return self._of_type[job.type]

    def count_ahead_of(self, job: Job) -> int:
        """How many jobs that may start now come before this ready one; at least, where many do."""
        rivals = {self._common, self.queue_of(job), *self._waiting.values()}
        return sum(queue.count_before(job) for queue in rivals if queue.may_start)

    def add(self, job: Job) -> None:
        """Put a ready job behind all others of its priority."""
        queue = self._of_type.get(job.type)
        if queue is None:
            queue = self._open_queue(job.type)
        queue.add(job)
        if queue is not self._common:
            self._waiting[job.type] = queue

    def take(self) -> Job | None:
        """The ready job whose turn it is; None where none may start."""
        if self.paused:
            return None
        if not self._waiting:
            return self._common.take()
        startable = [queue for queue in self._waiting.values() if queue.may_start]
        queue = min((self._common, *startable), key=_rank)
        job = queue.take()
        if job is not None and queue is not self._common:
            queue.running += 1
            self._note_whether_empty(job.type, queue)
        return job

    def ended(self, job: Job) -> None:
        """A job that was taken has made room for others of its type."""
        queue = self._own.get(job.type)
        if queue is not None:
            queue.running -= 1

    def take_due(self, now: float, date: datetime, limit: int) -> list[Job]:
        """Those of the later jobs that are due, in the order of their times; up to `limit`."""
        due = self.dated.take_due(date, limit)
        return due + self.delayed.take_due(now, limit - len(due))

    def discard(self, job: Job) -> None:
        """Drop a job that was called off, if it is here."""
        if self.delayed.discard(job) or self.dated.discard(job):
            return
        queue = self._of_type.get(job.type)
        if queue is not None:
            queue.discard(job)
            self._note_whether_empty(job.type, queue)

    def pause(self, job_type: str) -> bool:
        """Hold back the jobs of this type; whether they were not already."""
        if job_type not in self._of_type:
            self._open_queue(job_type)
        queue = self._own.get(job_type)
        if queue is None:
            queue = self._of_type[job_type] = self._own[job_type] = ReadyQueue()
            self._common.move_type(job_type, queue)
            self._waiting[job_type] = queue
            self._note_whether_empty(job_type, queue)
        was_paused, queue.paused = queue.paused, True
        return not was_paused

    def resume(self, job_type: str) -> bool:
        """Let the jobs of this type start again; whether they were held back."""
        queue = self._own.get(job_type)
        if queue is None or not queue.paused:
            return False
        queue.paused = False
        return True

    def _is_free(self, job: Job) -> bool:
        return not self.is_paused(job)

    def _open_queue(self, job_type: str) -> ReadyQueue:
        queue, limit = self._common, self._limit_of(job_type)
        if limit is not None:
            queue = self._own[job_type] = ReadyQueue(limit)
        self._of_type[job_type] = queue
        return queue

    def _note_whether_empty(self, job_type: str, queue: ReadyQueue) -> None:
        # What is empty must cost nothing when the next job is chosen.
        if not len(queue):
            self._waiting.pop(job_type, None)


def _rank(queue: ReadyQueue) -> tuple[int, float, str]:
    return queue.rank
