"""The ready jobs of a type whose limits hold per key or per time: its keys take turns.

Of each priority, the keys that have a job and may start it stand in a ring. The first one starts
its oldest job and goes to the end. So while a job is the oldest of its key and priority, and the
key may start it, at most one job of each other key of that type and priority starts before it.

A key that may start nothing stands in no ring, whether its places are taken or its rate is reached.
So it costs the others nothing, and each start costs O(log n), however many keys there are.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from job_service.jobs.queueing.key_group import KeyGroup
from job_service.jobs.queueing.ready import MANY, place_of
from job_service.jobs.queueing.ring import Ring
from job_service.jobs.queueing.start_window import StartWindow
from job_service.jobs.state.limits import Limits, whose
from job_service.jobs.state.model import LAST_PRIORITY, Job


class KeyedQueue:
    """What a `ReadyQueue` is, for limits that `take_turns`. `monotonic` is the clock of a rate.

    Among types it has the turns that it would have without keys: as many of them as it has jobs
    that may start, each from when one of those became ready.
    """

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self.paused = False
        self._limits = limits
        self._monotonic = monotonic
        self._jobs = OrderedDict[str, Job]()  # all, in the order in which they became ready
        self._groups: dict[str | None, KeyGroup] = {}
        self._rings = [Ring(priority) for priority in range(LAST_PRIORITY + 1)]
        self._looks: list[tuple[float, str]] = []  # a heap: when to look at which key

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: Job) -> bool:
        return job.id in self._jobs

    @property
    def running(self) -> set[str]:
        """The ids of the jobs that take a place."""
        return set().union(*(group.running for group in self._groups.values()))

    @property
    def may_start(self) -> bool:
        """Whether any of its jobs may start now."""
        return not self.paused and any(ring.groups for ring in self._rings)

    @property
    def rank(self) -> tuple[int, float, str]:
        """What its next job is to be compared by: priority, and then its turn."""
        for priority, ring in enumerate(self._rings):
            if ring.groups:
                return priority, *ring.first_turn
        return LAST_PRIORITY, math.inf, ""

    @property
    def oldest(self) -> float:
        """When the job that has waited longest became ready; infinity if none waits."""
        return place_of(next(iter(self._jobs.values())))[0] if self._jobs else math.inf

    @property
    def next_look(self) -> float:
        """When `look_again` may let jobs start, or may forget a key; infinity if never."""
        return self._looks[0][0] if self._looks else math.inf

    def may_start_one(self, job: Job) -> bool:
        """Whether the limits let this job start, which may be elsewhere."""
        group = self._groups.get(self._key_of(job))
        return not self.paused and (group is None or group.may_start)

    def add(self, job: Job) -> None:
        """Put a job behind all others of its key and priority."""
        group = self._group(job)
        self._jobs[job.id] = job
        group.add(job, self._monotonic())
        self._refresh(group)

    def take(self) -> Job | None:
        """The next job; None if there is none that may start."""
        for ring in self._rings:
            if ring.groups:
                job, _ = ring.take()
                del self._jobs[job.id]
                return job
        return None

    def discard(self, job: Job) -> None:
        """Drop a job, if it is here."""
        if self._jobs.pop(job.id, None) is not None:
            group = self._group(job)
            self._rings[job.priority].discard(job, group)
            self._refresh(group)

    def occupy(self, job: Job) -> None:
        """A job that was taken, here or elsewhere, takes a place and is about to start."""
        group = self._group(job)
        group.occupy(job, self._monotonic())
        self._refresh(group)

    def began(self, job: Job, at: float) -> None:
        """A job that takes a place has started."""
        group = self._groups.get(self._key_of(job))
        if group is not None and group.window is not None:
            group.window.begin(job.id, at)
            self._refresh(group)

    def release(self, job: Job) -> bool:
        """The job takes no place any more; whether it did."""
        group = self._groups.get(self._key_of(job))
        if group is None or not group.release(job):
            return False
        self._refresh(group)
        return True

    def look_again(self, now: float, limit: int) -> int:
        """Let those keys start more that may now, and forget those of which nothing is left.

        It looks at no more than `limit` of them, and returns at how many it has.
        """
        looked = 0
        while looked < limit and self.next_look <= now:
            looked += 1
            _, key = heapq.heappop(self._looks)
            group = self._groups.get(key or None)
            if group is not None and group.window is not None:
                group.looks_at = math.inf
                group.window.forget_until(now)
                self._refresh(group)
        return looked

    def why_held(self, job: Job) -> str | None:
        """Which limit keeps the job from starting, if one does."""
        group = self._groups.get(self._key_of(job))
        if group is None or group.may_start:
            return None
        of = whose(job.type, group.key)
        if not group.has_place:
            return self._limits.why_full(of, len(group.running))
        next_room = math.inf if group.window is None else group.window.next_room
        return self._limits.why_fast(of, next_room - self._monotonic())

    def waits_for_rate(self, job: Job) -> bool:
        """Whether the job's key has a free place, but may start nothing yet."""
        group = self._groups.get(self._key_of(job))
        return group is not None and group.has_place and not group.may_start

    def count_before(self, job: Job) -> int:
        """About how many jobs come before this one, which may be elsewhere; up to MANY."""
        ahead = 0
        for some in self._counts_before(job):
            ahead += some
            if ahead >= MANY:
                break
        return min(ahead, MANY)

    def _counts_before(self, job: Job) -> Iterator[int]:
        for priority in range(job.priority):
            for group in islice(self._rings[priority].groups.values(), MANY):
                yield len(group.lanes[priority].jobs)
        standing = self._rings[job.priority].groups
        if job.id not in self._jobs:
            for group in islice(standing.values(), MANY):
                yield _count_before(group.lanes[job.priority].jobs.values(), job)
            return
        own = self._group(job)
        rounds = _count_before(own.lanes[job.priority].jobs.values(), job)
        yield rounds
        is_ahead = own.key in standing
        for group in islice(standing.values(), MANY):
            if group is own:
                is_ahead = False
            else:
                yield min(len(group.lanes[job.priority].jobs), rounds + is_ahead)

    def _refresh(self, group: KeyGroup) -> None:
        """Let a key stand where it may, and be looked at when that may change."""
        may_start = group.may_start
        for priority in group.lanes:
            if may_start:
                self._rings[priority].join(group)
            else:
                self._rings[priority].leave(group)
        if group.is_idle:
            del self._groups[group.key]
        elif group.window is not None:
            self._look_in_time(group, group.window)

    def _look_in_time(self, group: KeyGroup, window: StartWindow) -> None:
        at = math.inf
        if not group.lanes:
            at = window.is_empty_at  # then it may be forgotten
        elif not window.has_room:
            at = window.next_room
        if at < group.looks_at:
            group.looks_at = at
            heapq.heappush(self._looks, (at, group.key or ""))

    def _group(self, job: Job) -> KeyGroup:
        key = self._key_of(job)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = KeyGroup(key, self._limits)
        return group

    def _key_of(self, job: Job) -> str | None:
        return job.limit_key if self._limits.is_per_key else None


def _count_before(jobs: Iterable[Job], job: Job) -> int:
    """How many of these jobs became ready before this one; up to MANY."""
    place, count = place_of(job), 0
    for other in islice(jobs, MANY):
        if place_of(other) >= place:
            break
        count += 1
    return count
