"""The pending jobs in the order in which workers are to have them."""

import heapq
import math
from collections import OrderedDict

from service.jobs.model import Job


class Backlog:
    """Ready jobs first in, first out, and later ones by the moment at which they are due.

    It has no bound of its own: submissions are bounded where they come in, and a retry must never
    be lost. All moments are on Trio's clock.
    """

    def __init__(self) -> None:
        self._ready: OrderedDict[str, Job] = OrderedDict()
        self._later: dict[str, Job] = {}
        self._due: list[tuple[float, str]] = []  # a heap; entries whose job has left are skipped

    @property
    def ready(self) -> int:
        """How many jobs could start at once."""
        return len(self._ready)

    @property
    def later(self) -> int:
        """How many jobs are not due yet."""
        return len(self._later)

    @property
    def next_due(self) -> float:
        """When the next of the later jobs is due; infinity where there is none."""
        while self._due and self._due[0][1] not in self._later:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else math.inf

    def add(self, job: Job) -> None:
        """Put a ready job behind all others."""
        self._ready[job.id] = job

    def add_later(self, job: Job, due: float) -> None:
        """Keep a job until `due`."""
        self._later[job.id] = job
        heapq.heappush(self._due, (due, job.id))

    def take(self) -> Job:
        """The ready job whose turn it is. Raises KeyError where there is none."""
        return self._ready.popitem(last=False)[1]

    def take_due(self, now: float) -> list[Job]:
        """Those of the later jobs that are due, in the order of their moments."""
        due = []
        while self.next_due <= now:
            due.append(self._later.pop(heapq.heappop(self._due)[1]))
        return due

    def discard(self, job: Job) -> None:
        """Drop a job that was called off, if it is here."""
        self._ready.pop(job.id, None)
        self._later.pop(job.id, None)
