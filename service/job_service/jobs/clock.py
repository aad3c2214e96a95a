"""The two clocks of the engine: one to say when, one to measure how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from job_service.telemetry.events import utc_now

LOOK_SECONDS = 1.0  # after which who waits for a moment looks whether the wall clock was set, or
# whether the machine was suspended: Trio's clock stands still meanwhile


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives the moment, aware and in UTC; `monotonic` gives seconds, and never goes back.

    Neither needs a running event loop, so that the books can be closed even where it is blocked.
    What runs on virtual time measures with `trio.current_time` instead.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
