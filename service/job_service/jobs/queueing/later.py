"""Jobs that wait for their time on one clock, by when it comes."""

import heapq
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from job_service.jobs.state.model import Job

Time = TypeVar("Time", float, datetime)

_STALE_ENTRIES = 64  # as many as are not worth the tidying


class LaterJobs(Generic[Time]):
    """Jobs and when they are due: seconds on Trio's, or moments on the wall's."""

    def __init__(self) -> None:
        self.by_type = Counter[str]()  # how many there are
        self._jobs: dict[str, Job] = {}
        self._due: list[tuple[Time, str]] = []  # a heap; entries whose job has left are skipped

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def next_due(self) -> Time | None:
        """When the next of them is due; None if there is none."""
        while self._due and self._due[0][1] not in self._jobs:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def add(self, job: Job, due: Time) -> None:
        """Keep a job until `due`."""
        self._jobs[job.id] = job
        self.by_type[job.type] += 1
        heapq.heappush(self._due, (due, job.id))

    def take_due(self, now: Time, limit: int) -> list[Job]:
        """Those that are due, in the order of their times; up to `limit`."""
        due: list[Job] = []
        while len(due) < limit and (time := self.next_due) is not None and time <= now:
            due.append(self._jobs.pop(heapq.heappop(self._due)[1]))
            self.by_type[due[-1].type] -= 1
        return due

    def any_by(self, deadline: Time, fits: Callable[[Job], bool]) -> bool:
        """Whether one that fits is due by then."""
        first = self.next_due
        return (first is not None and first <= deadline) and any(
            due <= deadline and job_id in self._jobs and fits(self._jobs[job_id])
            for due, job_id in self._due
        )

    def discard(self, job: Job) -> bool:
        """Drop a job; whether it was here."""
        if self._jobs.pop(job.id, None) is None:
            return False
        self.by_type[job.type] -= 1
        if len(self._due) > 4 * len(self._jobs) + _STALE_ENTRIES:
            self._due = [entry for entry in self._due if entry[1] in self._jobs]
            heapq.heapify(self._due)
        return True
