"""Jobs that wait for their time on one clock, by when it comes."""

import heapq
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import chain
from typing import Final, Generic, TypeVar

from job_service.jobs.state.model import Job

Time = TypeVar("Time", float, datetime)

_STALE_ENTRIES: Final = 64  # as many as are not worth the tidying
_TIDIED_AT_ONCE: Final = 16  # entries; all of them together would hold up the event loop


class LaterJobs(Generic[Time]):
    """Jobs and when they are due: seconds on Trio's, or moments on the wall's."""

    def __init__(self) -> None:
        self.by_type = Counter[str]()  # how many there are
        self._jobs: dict[str, Job] = {}
        # Two heaps, in which entries whose job has left are skipped. Usually one is all there is.
        # If too many of its entries are stale, the others move to the second one, a few at a time.
        self._due: list[tuple[Time, str]] = []
        self._untidy: list[tuple[Time, str]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def next_due(self) -> Time | None:
        """When the next of them is due; None if there is none."""
        heap = self._next_heap()
        return heap[0][0] if heap else None

    def add(self, job: Job, due: Time) -> None:
        """Keep a job until `due`."""
        self._jobs[job.id] = job
        self.by_type[job.type] += 1
        heapq.heappush(self._due, (due, job.id))

    def take_due(self, now: Time, limit: int) -> list[Job]:
        """Those that are due, in the order of their times; up to `limit`."""
        due: list[Job] = []
        while len(due) < limit and (heap := self._next_heap()) and heap[0][0] <= now:
            due.append(self._jobs.pop(heapq.heappop(heap)[1]))
            self.by_type[due[-1].type] -= 1
        return due

    def any_by(self, deadline: Time, fits: Callable[[Job], bool]) -> bool:
        """Whether one that fits is due by then."""
        first = self.next_due
        return (first is not None and first <= deadline) and any(
            due <= deadline and job_id in self._jobs and fits(self._jobs[job_id])
            for due, job_id in chain(self._due, self._untidy)
        )

    def discard(self, job: Job) -> bool:
        """Drop a job; whether it was here."""
        if self._jobs.pop(job.id, None) is None:
            return False
        self.by_type[job.type] -= 1
        if not self._untidy and len(self._due) > 4 * len(self._jobs) + _STALE_ENTRIES:
            self._due, self._untidy = [], self._due
        self._tidy()
        return True

    def _tidy(self) -> None:
        for heap in (self._due, self._untidy):
            self._drop_stale_beginning(heap, _TIDIED_AT_ONCE)
        # A heap stays one if its last entry leaves.
        for _ in range(min(len(self._untidy), _TIDIED_AT_ONCE)):
            entry = self._untidy.pop()
            if entry[1] in self._jobs:
                heapq.heappush(self._due, entry)

    def _next_heap(self) -> list[tuple[Time, str]]:
        """The heap that begins with the next of them; an empty one if there is none."""
        for heap in (self._due, self._untidy):
            self._drop_stale_beginning(heap, len(heap))
        if self._due and not (self._untidy and self._untidy[0] < self._due[0]):
            return self._due
        return self._untidy

    def _drop_stale_beginning(self, heap: list[tuple[Time, str]], most: int) -> None:
        while most > 0 and heap and heap[0][1] not in self._jobs:
            heapq.heappop(heap)
            most -= 1
