"""How many jobs of one type, or of one key of it, may run or start; stores and queues go by it."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the jobs of a type.

    At most `concurrency` of them run at a time, and at most `starts` of them start in any
    `per_seconds` seconds; None is no bound. If `is_per_key`, that holds for the jobs of each limit
    key apart, and the keys take turns.
    """

    concurrency: int | None = None
    starts: int | None = None
    per_seconds: float = 0.0
    is_per_key: bool = False

    @property
    def takes_turns(self) -> bool:
        """Whether more must be known of its jobs than how many run."""
        return self.is_per_key or self.starts is not None

    def until(self, start: datetime) -> datetime:
        """How long a start counts."""
        return start + timedelta(seconds=self.per_seconds)

    def why_full(self, whose: str, running: int) -> str:
        """What to say of a type or key of which this many run."""
        return f"{whose} runs {running} of at most {self.concurrency}"

    def why_fast(self, whose: str, seconds: float) -> str:
        """What to say of a type or key that may start its next job in this many seconds."""
        told = f"the rate of {self.starts} per {self.per_seconds:g} s of {whose} is reached"
        return told if seconds == math.inf else f"{told}; next in {max(0, math.ceil(seconds))} s"


def whose(job_type: str, key: str | None) -> str:
    """A type or one of its keys, in a sentence."""
    return job_type if key is None else f"{job_type} for {key}"


NO_LIMITS: Final = Limits()
