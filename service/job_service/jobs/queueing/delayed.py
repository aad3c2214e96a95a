"""Pending jobs whose time has not come, on two clocks."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import trio

from job_service.jobs.queueing.later import LaterJobs
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Job


class DelayedJobs:
    """Jobs that are due in this many seconds, or at the date that their `run_at` says.

    Seconds are Trio's. The date is the wall clock's, which may be set, and goes on while the
    machine is suspended.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_seconds = LaterJobs[float]()
        self._at_date = LaterJobs[datetime]()

    def __len__(self) -> int:
        return len(self._in_seconds) + len(self._at_date)

    @property
    def by_type(self) -> Counter[str]:
        """How many there are of each type."""
        return self._in_seconds.by_type + self._at_date.by_type

    @property
    def next_look(self) -> float | None:
        """When to look at them again, on Trio's clock; None if there is none.

        If one waits for a date, that is soon: nobody tells that the wall clock was set.
        """
        next_due, next_date = self._in_seconds.next_due, self._at_date.next_due
        if next_date is None:
            return next_due
        seconds = (next_date - self._clock.now()).total_seconds()
        look = trio.current_time() + min(seconds, self._clock.look_seconds)
        return look if next_due is None else min(look, next_due)

    def add(self, job: Job, seconds: float) -> bool:
        """Keep a job for so long; whether no other of its kind is due before it."""
        due, next_due = trio.current_time() + seconds, self._in_seconds.next_due
        self._in_seconds.add(job, due)
        return next_due is None or due < next_due

    def add_until_date(self, job: Job) -> bool:
        """Keep a job until its `run_at`; whether no other of its kind is due before it."""
        next_date = self._at_date.next_due
        self._at_date.add(job, job.run_at)
        return next_date is None or job.run_at < next_date

    def take_due(self, limit: int) -> list[Job]:
        """Those that are due, in the order of their times; up to `limit`."""
        due = self._at_date.take_due(self._clock.now(), limit)
        return due + self._in_seconds.take_due(trio.current_time(), limit - len(due))

    def any_by(self, deadline: float, fits: Callable[[Job], bool]) -> bool:
        """Whether one that fits is due by then, on Trio's clock."""
        # No job is due later than that, and a date has an end.
        seconds = min(max(deadline - trio.current_time(), -1), 2 * LONGEST_WAIT_SECONDS)
        date = self._clock.now() + timedelta(seconds=seconds)
        return self._in_seconds.any_by(deadline, fits) or self._at_date.any_by(date, fits)

    def discard(self, job: Job) -> None:
        """Drop a job, if it is here."""
        if not self._in_seconds.discard(job):
            self._at_date.discard(job)
