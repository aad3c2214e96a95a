"""A clock whose dates follow Trio's virtual time, for jobs that are to start at a certain date."""

from datetime import UTC, datetime, timedelta

import trio

from job_service.jobs.clock import Clock

_START = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    """The date at which Trio's virtual clock shows so many seconds."""
    return _START + timedelta(seconds=seconds)


VIRTUAL = Clock(now=lambda: moment(trio.current_time()), monotonic=trio.current_time)


class WallClock:
    """Virtual time as a wall clock that can be set; `looked` counts how often it was read."""

    def __init__(self, start: datetime = _START) -> None:
        self.ahead = timedelta()
        self.looked = 0
        self._start = start
        self._zero = trio.current_time()

    @property
    def clock(self) -> Clock:
        """As an engine takes it."""
        return Clock(self.now, trio.current_time)

    def now(self) -> datetime:
        """The moment it shows."""
        self.looked += 1
        return self._start + self.ahead + timedelta(seconds=trio.current_time() - self._zero)
