"""Jobs that are ready for a worker, in the order of their priority and then of their coming."""

import math
from collections import OrderedDict
from itertools import islice

from job_service.jobs.state.model import LAST_PRIORITY, Job

MANY = 1_000  # it is not worth the time to count more that come before a job
SCANNED = 1_000  # for the oldest job of each type


class ReadyQueue:
    """Ready jobs, of which at most `limit` may run at a time, and none may start while `paused`.

    `size` is how many wait, and `running` has the ids of those that were taken and have not ended,
    while the queue is one that may hold jobs back.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.running: set[str] = set()
        self.paused = False
        self.size = 0
        self._lanes = [OrderedDict[str, Job]() for _ in range(LAST_PRIORITY + 1)]

    def __len__(self) -> int:
        return self.size

    @property
    def may_start(self) -> bool:
        """Whether its next job, if there is one, may start now."""
        return not self.paused and len(self.running) < self.limit

    @property
    def rank(self) -> tuple[int, float, str]:
        """What its next job is to be compared by: priority, when it became ready, and age."""
        for priority, lane in enumerate(self._lanes):
            if lane:
                return priority, *place_of(next(iter(lane.values())))
        return LAST_PRIORITY, math.inf, ""

    @property
    def oldest(self) -> float:
        """When the job that has waited longest became ready; infinity if none waits."""
        heads = [next(iter(lane.values())) for lane in self._lanes if lane]
        return min((head.ready_monotonic or 0.0 for head in heads), default=math.inf)

    def oldest_by_type(self) -> dict[str, float]:
        """When the job of each type that has waited longest became ready.

        Of each priority it looks at the first SCANNED jobs only.
        """
        oldest: dict[str, float] = {}
        for lane in self._lanes:
            for job in islice(lane.values(), SCANNED):
                ready = job.ready_monotonic or 0.0
                if ready < oldest.get(job.type, math.inf):
                    oldest[job.type] = ready
        return oldest

    def add(self, job: Job) -> None:
        """Put a job behind all others of its priority."""
        self._lanes[job.priority][job.id] = job
        self.size += 1

    def take(self) -> Job | None:
        """The next job, whether it may start or not; None if there is none."""
        if not self.size:  # as most of the time, and then no lane need be looked at
            return None
        self.size -= 1
        return next(filter(None, self._lanes)).popitem(last=False)[1]

    def __contains__(self, job: Job) -> bool:
        return job.id in self._lanes[job.priority]

    def may_start_one(self, job: Job) -> bool:  # noqa: ARG002 (any is as good as another)
        """Whether the limits let this job start, which may be elsewhere."""
        return self.may_start

    def occupy(self, job: Job) -> None:
        """A job that was taken, here or elsewhere, takes a place and is about to start."""
        self.running.add(job.id)

    def release(self, job: Job) -> bool:
        """The job takes no place any more; whether it did."""
        if job.id not in self.running:
            return False
        self.running.remove(job.id)
        return True

    def why_held(self, job: Job) -> str | None:
        """Which limit keeps the job from starting, if one does."""
        if len(self.running) < self.limit:
            return None
        return f"{job.type} runs {len(self.running)} of at most {self.limit}"

    def count_before(self, job: Job) -> int:
        """How many of its jobs come before this one, which may be elsewhere; up to MANY."""
        sooner = sum(map(len, self._lanes[: job.priority]))
        place = place_of(job)
        for other in islice(self._lanes[job.priority].values(), max(0, MANY - sooner)):
            if place_of(other) >= place:
                break
            sooner += 1
        return min(sooner, MANY)

    def discard(self, job: Job) -> bool:
        """Drop a job; whether it was here."""
        if self._lanes[job.priority].pop(job.id, None) is None:
            return False
        self.size -= 1
        return True

    def move_type(self, job_type: str, to: "ReadyQueue") -> None:
        """Move all jobs of one type, in their order; that takes a look at each that is here."""
        for lane in self._lanes:
            for job in [job for job in lane.values() if job.type == job_type]:
                self.discard(job)
                to.add(job)


def place_of(job: Job) -> tuple[float, str]:
    """What jobs of one priority are ordered by: when they became ready, and then their age."""
    return job.ready_monotonic or 0.0, job.id
