"""How many jobs of one type, or of one key of it, may run or start; stores and queues go by it."""

from dataclasses import dataclass
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


NO_LIMITS: Final = Limits()
