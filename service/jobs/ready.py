"""Jobs that are ready for a worker, in the order of their priority and then of their coming."""

import math
from collections import OrderedDict

from service.jobs.model import LAST_PRIORITY, Job


class ReadyQueue:
    """Ready jobs, and whether they may start: for `limit`, if any, and for `paused`.

    `running` counts those that were taken and have not ended; it is kept where there is a limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = math.inf if limit is None else limit
        self.running = 0
        self.paused = False
        self._lanes = [OrderedDict[str, Job]() for _ in range(LAST_PRIORITY + 1)]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def may_start(self) -> bool:
        """Whether one of its jobs, if there is any, may start now."""
        return not self.paused and self.running < self.limit

    @property
    def rank(self) -> tuple[int, float]:
        """What its first job is to be compared by: priority, and since when it is ready."""
        for priority, lane in enumerate(self._lanes):
            for job in lane.values():
                return priority, job.ready_monotonic or 0.0
        return LAST_PRIORITY, math.inf

    @property
    def oldest(self) -> float:
        """Since when the job is ready that has waited longest; infinity where there is none."""
        heads = [next(iter(lane.values())) for lane in self._lanes if lane]
        return min((head.ready_monotonic or 0.0 for head in heads), default=math.inf)

    def add(self, job: Job) -> None:
        """Put a job behind all others of its priority."""
        self._lanes[job.priority][job.id] = job
        self._size += 1

    def take(self) -> Job:
        """The job whose turn it is. Raises IndexError where there is none."""
        for lane in self._lanes:
            if lane:
                self._size -= 1
                return lane.popitem(last=False)[1]
        raise IndexError("no job is ready")

    def discard(self, job: Job) -> None:
        """Drop a job, if it is here."""
        if self._lanes[job.priority].pop(job.id, None) is not None:
            self._size -= 1

    def move_type(self, job_type: str, to: "ReadyQueue") -> None:
        """Move all jobs of one type, in their order; that takes a look at each that is here."""
        for lane in self._lanes:
            for job in [job for job in lane.values() if job.type == job_type]:
                self.discard(job)
                to.add(job)
