"""A clock whose dates follow Trio's virtual time, for jobs that are to start at a certain date."""

from datetime import UTC, datetime, timedelta

import trio

from job_service.jobs.clock import Clock

_START = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    """The date at which Trio's virtual clock shows so many seconds."""
    return _START + timedelta(seconds=seconds)


VIRTUAL = Clock(now=lambda: moment(trio.current_time()), monotonic=trio.current_time)
