"""How long finished jobs are kept: as many of them as may be, and as much of their memory."""

from collections import deque
from collections.abc import Callable

from job_service.jobs.state.model import Job


class Retention:
    """The finished jobs that are kept, up to `jobs` of them and `limit_bytes` of their weight."""

    def __init__(self, jobs: float, limit_bytes: float, forget: Callable[[Job], None]) -> None:
        self._limit = jobs
        self._limit_bytes = limit_bytes
        self._forget = forget
        self._kept: deque[Job] = deque()  # the one that finished first comes first
        self.weight = 0

    def keep(self, job: Job) -> None:
        """Keep a job that has finished, and forget the oldest ones until the rest fit.

        A job that alone weighs more than the limit is forgotten at once, and no other one for it.
        """
        kept, weight = self._kept, self.weight + job.weight
        kept.append(job)
        if job.weight > self._limit_bytes:
            kept.rotate()  # so that it is the first to go, and the only one
        while len(kept) > self._limit or weight > self._limit_bytes:
            oldest = kept.popleft()
            weight -= oldest.weight
            self._forget(oldest)
        self.weight = weight

    def drop(self, job: Job) -> None:
        """Keep one of them no more, which most often is the one that finished first."""
        self._kept.remove(job)
        self.weight -= job.weight
        self._forget(job)
