"""The two clocks of the engine: one to say when, one to measure how long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import trio

from service.telemetry.events import utc_now


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives the moment, aware and in UTC; `monotonic` gives seconds, and never goes back."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = trio.current_time
