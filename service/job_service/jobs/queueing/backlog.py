"""The ready jobs in the order in which workers are to have them."""

import math
from collections import Counter
from collections.abc import Callable

from job_service.jobs.queueing.keyed import KeyedQueue
from job_service.jobs.queueing.ready import ReadyQueue
from job_service.jobs.queueing.suspects import Suspects
from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import Job

_Queue = ReadyQueue | KeyedQueue  # of one type


class Backlog:
    """Ready jobs by priority, and then first in, first out.

    A job type whose jobs may have to be held back, because it has limits or because it is paused,
    has a queue of its own, so that they never stand in the way of others. So have all jobs that
    this program can't run: those of types for which `limits_of` gives None, and those whose ids are
    in `misfits`. And so have suspects, which go first.

    There is no bound on all this: submissions are bounded where they come in, and a retry must
    never be lost.
    """

    def __init__(
        self,
        limits_of: Callable[[str], Limits | None],
        monotonic: Callable[[], float],
        is_idle: Callable[[], bool],
    ) -> None:
        self.paused = False
        self.misfits: set[str] = set()
        self.unfit_by_type = Counter[str]()
        self.has_rates = False  # whether jobs of any type may start only so often
        self._limits_of = limits_of
        self._monotonic = monotonic
        self._paused_types: set[str] = set()
        self._common = ReadyQueue()
        self._unfit: set[str] = set()  # which are in no order, so that they may change
        self._suspects = Suspects(is_idle)
        self._of_type: dict[str, _Queue] = {}  # which is `_common` for most
        self._own: dict[str, _Queue] = {}  # those of `_of_type` that are not
        self._waiting: dict[str, _Queue] = {}  # those of `_own` that have jobs in them
        self._rated: list[KeyedQueue] = []  # those of `_own` whose jobs may start only so often

    @property
    def ready(self) -> int:
        """How many jobs could start at once, but for pauses and limits."""
        return sum(map(len, (self._common, self._suspects, *self._own.values())))

    @property
    def unfit(self) -> int:
        """How many jobs could start at once in a program that can run them."""
        return len(self._unfit)

    @property
    def held(self) -> int:
        """How many of the ready jobs can't start because of a pause."""
        if self.paused:
            return self.ready
        return sum(len(queue) for queue in self._own.values() if queue.paused)

    @property
    def paused_types(self) -> list[str]:
        """The job types that are paused, sorted."""
        return sorted(self._paused_types)

    @property
    def oldest_ready(self) -> float:
        """When the job that has waited longest became ready; infinity if none waits."""
        return min(queue.oldest for queue in (self._common, self._suspects, *self._own.values()))

    def oldest_by_type(self) -> dict[str, float]:
        """When the job of each type that has waited longest became ready.

        A type is missing if more than SCANNED others of its priority come first.
        """
        oldest = {name: queue.oldest for name, queue in self._own.items() if len(queue)}
        for queue in (self._common, self._suspects):
            for job_type, ready in queue.oldest_by_type().items():
                oldest[job_type] = min(ready, oldest.get(job_type, math.inf))
        return oldest

    @property
    def next_look(self) -> float:
        """When `look_again` may let more jobs start, on the monotonic clock; infinity if never."""
        return min((queue.next_look for queue in self._rated), default=math.inf)

    def held_for(self, seconds: float) -> int:
        """How many ready jobs a rate keeps from starting for more than so many seconds."""
        until = self._monotonic() + seconds
        return sum(
            len(queue)
            for queue in self._rated
            if not queue.paused and not queue.may_start and queue.next_look > until
        )

    def look_again(self, limit: int) -> int:
        """See which keys their rates let start more now: up to `limit`; returns how many it was."""
        now, looked = self._monotonic(), 0
        for queue in self._rated:
            looked += queue.look_again(now, limit - looked)
        return looked

    @property
    def alone(self) -> Job | None:
        """The job beside which no other is to start, if there is one."""
        return self._suspects.alone

    def is_paused(self, job: Job) -> bool:
        """Whether a pause keeps the job from starting."""
        return self.paused or job.type in self._paused_types

    def waits_for_rate(self, job: Job) -> bool:
        """Whether nothing but a rate keeps the ready job from starting."""
        queue = self.queue_of(job)
        return isinstance(queue, KeyedQueue) and queue.waits_for_rate(job)

    def is_unfit(self, job: Job) -> bool:
        """Whether this program can't run the job, whatever else it waits for."""
        is_known = job.id in self.misfits or job.id in self._unfit
        return is_known or self._limits_of(job.type) is None

    def can_start(self, job: Job) -> bool:
        """Whether neither a pause nor its type keeps the job from starting, once it is due."""
        return not self.is_paused(job) and not self.is_unfit(job)

    def queue_of(self, job: Job) -> _Queue:
        """Where a fit job is once it is ready, among others that it may have to wait for."""
        return self._suspects if job.is_suspect else self._of_type[job.type]

    def count_ahead_of(self, job: Job) -> int:
        """How many jobs that may start now come before this ready one; no more than MANY."""
        rivals = {self._common, self.queue_of(job), *self._waiting.values()}
        return sum(queue.count_before(job) for queue in rivals if queue.may_start)

    def add(self, job: Job) -> bool:
        """Put a job behind all others of its priority; whether this program can run it."""
        queue = self._of_type.get(job.type)
        if queue is None:
            queue = self._open_queue(job.type)
        if queue is None or (self.misfits and job.id in self.misfits):
            self._unfit.add(job.id)
            self.unfit_by_type[job.type] += 1
            return False
        if job.losses and job.is_suspect:
            queue = self._suspects
        queue.add(job)
        if queue is self._own.get(job.type):
            self._waiting[job.type] = queue
        return True

    def take(self) -> Job | None:
        """The ready job whose turn it is; None if none may start."""
        if self.paused:
            return None
        if self._suspects.size or self._suspects.alone is not None:
            suspect = self._take_suspect()
            if suspect is not None or self._suspects.alone is not None:
                return suspect
        if not self._waiting:
            return self._common.take()
        startable = [queue for queue in self._waiting.values() if queue.may_start]
        if not startable:
            return self._common.take()
        queue = min((self._common, *startable), key=_rank)
        job = queue.take()
        if job is not None and queue is not self._common:
            queue.occupy(job)
            self._note_whether_empty(job.type, queue)
        return job

    def began(self, job: Job, at: float) -> None:
        """A job that was taken has started, which counts if its type has a rate."""
        queue = self._own.get(job.type)
        if isinstance(queue, KeyedQueue):
            queue.began(job, at)

    def release(self, job: Job) -> bool:
        """The job, which may have been taken, runs no more; whether that makes room for others."""
        # A suspect that is to run alone waits for all others to end.
        makes_room = (job.losses > 0 and self._suspects.release(job)) or self._suspects.size > 0
        queue = self._own.get(job.type)
        return makes_room if queue is None else queue.release(job) or makes_room

    def discard(self, job: Job) -> None:
        """Drop a job that has ended without having been run, if it is here."""
        self.misfits.discard(job.id)
        if job.id in self._unfit:
            self._unfit.discard(job.id)
            self.unfit_by_type[job.type] -= 1
        self._suspects.discard(job)
        queue = self._of_type.get(job.type)
        if queue is not None:
            queue.discard(job)
            self._note_whether_empty(job.type, queue)

    def pause(self, job_type: str | None) -> bool:
        """Hold back the jobs of this type, or all; whether they were not already."""
        if job_type is None:
            was_paused, self.paused = self.paused, True
            return not was_paused
        if job_type in self._paused_types:
            return False
        self._paused_types.add(job_type)
        queue = self._of_type.get(job_type)
        if queue is self._common:
            queue = self._of_type[job_type] = self._own[job_type] = ReadyQueue()
            self._common.move_type(job_type, queue)
            self._waiting[job_type] = queue
            self._note_whether_empty(job_type, queue)
        if queue is not None:
            queue.paused = True
        return True

    def resume(self, job_type: str | None) -> bool:
        """Take back a `pause` of the same kind; whether there was one."""
        if job_type is None:
            was_paused, self.paused = self.paused, False
            return was_paused
        if job_type not in self._paused_types:
            return False
        self._paused_types.remove(job_type)
        if job_type in self._own:
            self._own[job_type].paused = False
        return True

    def _take_suspect(self) -> Job | None:
        job = self._suspects.take_next(self._type_may_start)
        if job is not None and (queue := self._own.get(job.type)) is not None:
            queue.occupy(job)
        return job

    def _type_may_start(self, job: Job) -> bool:
        queue = self._own.get(job.type)
        return job.type not in self._paused_types and (queue is None or queue.may_start_one(job))

    def _open_queue(self, job_type: str) -> _Queue | None:
        queue: _Queue = self._common
        limits, is_paused = self._limits_of(job_type), job_type in self._paused_types
        if limits is None:  # not for ever: its handler may still be registered
            return None
        if limits != NO_LIMITS or is_paused:
            queue = self._own[job_type] = self._queue_for(limits)
            queue.paused = is_paused
        self._of_type[job_type] = queue
        return queue

    def _queue_for(self, limits: Limits) -> _Queue:
        if not limits.takes_turns:
            return ReadyQueue(math.inf if limits.concurrency is None else limits.concurrency)
        queue = KeyedQueue(limits, self._monotonic)
        if limits.starts is not None:
            self._rated.append(queue)
            self.has_rates = True
        return queue

    def _note_whether_empty(self, job_type: str, queue: _Queue) -> None:
        # What is empty must cost nothing when the next job is chosen.
        if not len(queue):
            self._waiting.pop(job_type, None)


def _rank(queue: _Queue) -> tuple[int, float, str]:
    return queue.rank
