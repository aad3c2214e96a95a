"""Jobs in whose last attempt the process died: any of them may be the cause."""

from collections.abc import Callable
from itertools import chain

from job_service.jobs.queueing.ready import ReadyQueue
from job_service.jobs.state.model import Job


class Suspects(ReadyQueue):
    """They run one at a time, so that the next crash has only one of them in hand.

    Others run beside a suspect, and it may be one of those that ends the process. So one that was
    lost twice in a row runs alone: it goes first, and not before `is_idle`. `alone` is that one
    while it runs or is the next.
    """

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        super().__init__(limit=1)
        self.alone: Job | None = None
        self._is_idle = is_idle

    def take_next(self, may_start: Callable[[Job], bool]) -> Job | None:
        """The one to start now; None if that is none. `may_start` says what else a job waits for.

        If there is one that is `alone` after that, no other job is to start either.
        """
        if not self.may_start:
            return None
        self.alone = self._first(lambda job: job.runs_alone and may_start(job))
        if self.alone is not None and not self._is_idle():
            return None
        job = self.alone or self._first(may_start)
        if job is not None:
            self.discard(job)
            self.occupy(job)
        return job

    def release(self, job: Job) -> bool:
        was_alone = job is self.alone
        if was_alone:
            self.alone = None
        return super().release(job) or was_alone

    def _first(self, is_wanted: Callable[[Job], bool]) -> Job | None:
        jobs = chain.from_iterable(lane.values() for lane in self._lanes)
        return next(filter(is_wanted, jobs), None)
