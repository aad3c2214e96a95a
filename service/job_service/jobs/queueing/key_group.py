"""The jobs of one limit key: those that are ready, and those that take its places."""

import heapq
import math
from collections import OrderedDict

from job_service.jobs.queueing.start_window import StartWindow
from job_service.jobs.state.limits import Limits
from job_service.jobs.state.model import Job

Turn = tuple[float, str]  # when a job became ready, and its id


class Lane:
    """Ready jobs of one key and priority, the oldest first, and as many turns among other types.

    A job brings its turn with it. When keys start their jobs in another order, they exchange turns.
    """

    __slots__ = ("jobs", "turns")

    def __init__(self) -> None:
        self.jobs = OrderedDict[str, Job]()
        self.turns: list[Turn] = []  # a heap

    @property
    def first(self) -> Job:
        """The next job; there must be one."""
        return next(iter(self.jobs.values()))

    def add(self, job: Job, now: float) -> None:
        """Put a job behind all others."""
        self.jobs[job.id] = job
        heapq.heappush(self.turns, (now, job.id))

    def take(self) -> tuple[Job, Turn]:
        """The next job, and the first turn."""
        return self.jobs.popitem(last=False)[1], heapq.heappop(self.turns)

    def discard(self, job: Job) -> None:
        """Drop a job, and one of the later turns."""
        del self.jobs[job.id]
        self.turns.pop()


class KeyGroup:
    """Ready jobs of one key by priority. It has only lanes with jobs."""

    __slots__ = ("_limits", "key", "lanes", "looks_at", "running", "window")

    def __init__(self, key: str | None, limits: Limits) -> None:
        self.key = key
        self.lanes: dict[int, Lane] = {}
        self.running: set[str] = set()
        self.window = (
            None if limits.starts is None else StartWindow(limits.starts, limits.per_seconds)
        )
        self.looks_at = math.inf  # when it is to be looked at again
        self._limits = limits

    @property
    def has_place(self) -> bool:
        """Whether fewer run than may at a time."""
        return self._limits.concurrency is None or len(self.running) < self._limits.concurrency

    @property
    def may_start(self) -> bool:
        """Whether one more job may start now."""
        return self.has_place and (self.window is None or self.window.has_room)

    @property
    def is_idle(self) -> bool:
        """Whether it may be forgotten."""
        return not (self.lanes or self.running or self.window)

    def add(self, job: Job, now: float) -> None:
        """Put a job behind all others of its priority."""
        if job.priority not in self.lanes:
            self.lanes[job.priority] = Lane()
        self.lanes[job.priority].add(job, now)

    def occupy(self, job: Job, now: float) -> None:
        """The job takes a place, and is about to start."""
        self.running.add(job.id)
        if self.window is not None:
            self.window.forget_until(now)
            self.window.reserve(job.id)

    def release(self, job: Job) -> bool:
        """The job takes no place any more; whether it did."""
        if job.id not in self.running:
            return False
        self.running.remove(job.id)
        if self.window is not None:
            self.window.give_back(job.id)
        return True
