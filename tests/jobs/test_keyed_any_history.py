"""Whatever comes, starts and ends: no limit is exceeded, and each key has its turn."""

import math
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import Job

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEYS = ["acme", "duck", "emu", "fox", None]
PRIORITIES = [4, 5]

keys = st.sampled_from(KEYS)
priorities = st.sampled_from(PRIORITIES)


class AnyHistory(RuleBasedStateMachine):
    """A backlog of one type with limits and one without, and what its jobs may do."""

    @initialize(
        concurrency=st.none() | st.integers(1, 3),
        starts=st.none() | st.integers(1, 3),
        is_per_key=st.booleans(),
    )
    def open(self, concurrency: int | None, starts: int | None, is_per_key: bool) -> None:
        """With any limits."""
        self.limits = Limits(concurrency, starts, 10.0, is_per_key)
        self.now = 0.0
        self.made = 0
        self.backlog = Backlog(
            {"email": self.limits, "plain": NO_LIMITS}.__getitem__,
            lambda: self.now,
            lambda: not self.running,
        )
        self.waiting = dict[str, Job]()
        self.on_way = dict[str, Job]()
        self.running = dict[str, Job]()
        self.started = defaultdict[str | None, list[float]](list)
        self.passed_by = defaultdict[str, Counter[str | None]](Counter)

    def key_of(self, job: Job) -> str | None:
        """For whom the limits of this job hold."""
        return job.limit_key if self.limits.is_per_key else None

    def may_start(self, key: str | None) -> bool:
        """What the limits say, counted anew."""
        taken = [
            job
            for job in (*self.on_way.values(), *self.running.values())
            if job.type == "email" and self.key_of(job) == key
        ]
        most = self.limits.concurrency
        if most is not None and len(taken) >= most:
            return False
        if self.limits.starts is None:
            return True
        recent = [at for at in self.started[key] if at > self.now - self.limits.per_seconds]
        coming = [job for job in taken if job.id in self.on_way]
        return len(recent) + len(coming) < self.limits.starts

    @rule(some=st.lists(st.tuples(keys, priorities), min_size=1, max_size=12))
    def come(self, some: list[tuple[str | None, int]]) -> None:
        """Jobs become ready."""
        for key, priority in some:
            self._come("email", key, priority)

    @rule(priority=priorities)
    def come_plain(self, priority: int) -> None:
        """One does that has no limits."""
        self._come("plain", None, priority)

    def _come(self, job_type: str, key: str | None, priority: int) -> None:
        self.made += 1
        job = Job(f"{self.made:06}", job_type, b"null", 0, NOW, NOW, priority, limit_key=key)
        self.backlog.add(job)
        job.ready_monotonic = self.now
        self.waiting[job.id] = job

    @rule(
        seconds=st.sampled_from([0.0, 0.5, 9.5, 10.0]),
        workers=st.integers(1, 6),
        at_once=st.booleans(),
        end=st.booleans(),
    )
    def work(self, seconds: float, workers: int, at_once: bool, end: bool) -> None:
        """Some workers are free. Perhaps the jobs start at once, and perhaps they end soon."""
        self.now += seconds
        self.backlog.look_again(1_000)
        for _ in range(workers):
            self._take()
        if at_once:
            for job_id in list(self.on_way):
                self._begin(job_id)
            for job_id in list(self.running) if end else ():
                self._end(job_id)

    def _take(self) -> None:
        job = self.backlog.take()
        startable = [
            other
            for other in self.waiting.values()
            if other.type == "plain" or self.may_start(self.key_of(other))
        ]
        if job is None:
            assert not startable, "a job that might start was held up"
            return
        assert job in startable, "a limit was exceeded"
        assert job.priority == min(other.priority for other in startable)
        del self.waiting[job.id]
        self._check_turns(job, startable)
        self.on_way[job.id] = job

    def _check_turns(self, job: Job, startable: list[Job]) -> None:
        rivals = [
            other
            for other in startable
            if (other.type, other.priority) == (job.type, job.priority) and other is not job
        ]
        assert all(self.key_of(other) != self.key_of(job) or other.id > job.id for other in rivals)
        if job.type == "plain":
            return
        heads = dict[str | None, Job]()
        for other in rivals:
            heads.setdefault(self.key_of(other), other)
        for key, head in heads.items():
            if key != self.key_of(job):
                self.passed_by[head.id][self.key_of(job)] += 1
                assert self.passed_by[head.id][self.key_of(job)] <= 1, "a key was starved"

    @invariant()
    def forget_what_may_not_start(self) -> None:
        """Turns count for as long as a key may start its jobs."""
        for job in self.waiting.values():
            if job.type == "email" and not self.may_start(self.key_of(job)):
                self.passed_by.pop(job.id, None)

    @precondition(lambda self: self.on_way)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """One that was let through starts, however late."""
        self._begin(data.draw(st.sampled_from(sorted(self.on_way))))

    def _begin(self, job_id: str) -> None:
        job = self.on_way.pop(job_id)
        self.running[job.id] = job
        if job.type == "email":
            self.backlog.began(job, self.now)
            self.started[self.key_of(job)].append(self.now)

    @precondition(lambda self: self.on_way or self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """One ends, or was called off before it had started."""
        self._end(data.draw(st.sampled_from(sorted(self.on_way | self.running))))

    def _end(self, job_id: str) -> None:
        job = self.on_way.pop(job_id, None) or self.running.pop(job_id)
        self.backlog.release(job)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def call_off(self, data: st.DataObject) -> None:
        """One that waits is cancelled."""
        job = self.waiting.pop(data.draw(st.sampled_from(sorted(self.waiting))))
        self.backlog.discard(job)

    @invariant()
    def no_rate_is_exceeded(self) -> None:
        """In no time of that length, wherever it begins."""
        for starts in self.started.values():
            window = deque[float]()
            for at in starts:
                window.append(at)
                while window[0] <= at - self.limits.per_seconds:
                    window.popleft()
                assert self.limits.starts is None or len(window) <= self.limits.starts

    @invariant()
    def all_are_counted(self) -> None:
        """And whoever waits for a rate is looked at when the next one may start."""
        assert self.backlog.ready == len(self.waiting)
        if self.limits.starts is None:
            return
        for key in {self.key_of(job) for job in self.waiting.values() if job.type == "email"}:
            starts = [at for at in self.started[key] if at > self.now - self.limits.per_seconds]
            if not self.may_start(key) and len(starts) == self.limits.starts:
                assert self.backlog.next_look <= starts[0] + self.limits.per_seconds

    def teardown(self) -> None:
        """When all have ended and time has passed, nothing is left."""
        if not hasattr(self, "backlog"):
            return
        for job in self.waiting.values():
            self.backlog.discard(job)
        for job in (*self.on_way.values(), *self.running.values()):
            self.backlog.release(job)
        self.now += 20
        self.backlog.look_again(1_000)
        assert self.backlog.next_look == math.inf
        assert not any(getattr(queue, "_groups", ()) for queue in self.backlog._own.values())


TestAnyHistory = pytest.mark.slow(AnyHistory.TestCase)
TestAnyHistory.settings = settings(stateful_step_count=40, max_examples=100)
