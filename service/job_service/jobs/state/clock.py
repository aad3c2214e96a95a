"""The clocks of the engine: one to say when, others to measure how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from job_service.telemetry.events import utc_now

_WITH_SUSPENSIONS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _elapsed() -> float:
    return time.clock_gettime(_WITH_SUSPENSIONS)


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives the moment, aware and in UTC; `monotonic` gives seconds, and never goes back.

    `elapsed` is like `monotonic`, but goes on while the machine is suspended. If `now` has gone
    another way than it, the wall clock was set.

    None of them needs a running event loop, so that jobs can be given an end even if it is blocked.
    What runs on virtual time measures with `trio.current_time` instead.

    Whoever waits for a date looks every `look_seconds` whether the wall clock was set, or whether
    the machine was suspended: Trio's clock stands still then.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    elapsed: Callable[[], float] = _elapsed
    look_seconds: float = 1.0
