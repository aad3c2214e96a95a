"""The jobs in memory, in the order of their creation, and how long finished ones stay."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator

from service.jobs.model import Job, Status


class JobTable:
    """All unfinished jobs, and of the finished ones the `retain` that finished last.

    Ids must sort by creation, as UUIDv7 do; a page then begins by bisection, whatever has been
    forgotten since the page before it was read.
    """

    def __init__(self, retain: int) -> None:
        self._retain = retain
        self._jobs: dict[str, Job] = {}
        self._ids: list[str] = []  # sorted; may still hold ids of forgotten jobs
        self._finished: deque[str] = deque()

    def __iter__(self) -> Iterator[Job]:
        """All jobs, the oldest first."""
        return iter(self._jobs.values())

    def get(self, job_id: str) -> Job | None:
        """The job, or None where there is none of this id, or no more."""
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Keep a new job."""
        self._jobs[job.id] = job
        self._ids.append(job.id)

    def finished(self, job: Job) -> None:
        """The job has reached its end; where too many have, the first of them is forgotten."""
        self._finished.append(job.id)
        if len(self._finished) > self._retain:
            del self._jobs[self._finished.popleft()]
            if len(self._ids) > 2 * len(self._jobs) + 1_000:
                self._ids = list(self._jobs)

    def page(
        self, *, status: Status | None, job_type: str | None, after: str | None, limit: int
    ) -> list[Job]:
        """Up to `limit` jobs of this status and type, oldest first, from behind the job `after`."""
        found: list[Job] = []
        if limit < 1:
            return found
        for index in range(0 if after is None else bisect_right(self._ids, after), len(self._ids)):
            job = self._jobs.get(self._ids[index])
            if job is None or (status and job.status != status):
                continue
            if job_type and job.type != job_type:
                continue
            found.append(job)
            if len(found) == limit:
                break
        return found
