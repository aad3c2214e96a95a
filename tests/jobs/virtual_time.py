"""A clock whose dates follow Trio's virtual time, for jobs that are to start at a certain date."""

from datetime import UTC, datetime, timedelta

import trio

from job_service.jobs.state.clock import Clock

_START = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    """The date at which Trio's virtual clock shows so many seconds."""
    return _START + timedelta(seconds=seconds)


VIRTUAL = Clock(lambda: moment(trio.current_time()), trio.current_time, trio.current_time)


class WallClock:
    """Virtual time as a wall clock; `looked` counts how often it was read.

    By `ahead` it was set, and for `suspended` the machine was.
    """

    def __init__(self, start: datetime = _START) -> None:
        self.ahead = timedelta()
        self.suspended = timedelta()
        self.looked = 0
        self._start = start
        self._zero = trio.current_time()

    @property
    def clock(self) -> Clock:
        """As an engine takes it."""
        return Clock(self.now, trio.current_time, lambda: self._elapsed().total_seconds())

    def now(self) -> datetime:
        """The moment it shows."""
        self.looked += 1
        return self._start + self.ahead + self._elapsed()

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=trio.current_time() - self._zero) + self.suspended
