"""How often a failed job is tried again, and how long it waits before each time."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff: the k-th retry waits base_seconds * factor ** (k - 1).

    The wait never exceeds `max_seconds`. `jitter` shortens each wait by a random share of up to
    that much (0.1: by at most a tenth), so that jobs which failed together do not return together.

    Raises ValueError where a number is out of its range.
    """

    max_retries: int = 3
    base_seconds: float = 1
    factor: float = 2
    max_seconds: float = 300
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries must be 0 or more, not {self.max_retries}")
        if self.base_seconds < 0:
            raise ValueError(f"base_seconds must be 0 or more, not {self.base_seconds}")
        if self.factor < 1:
            raise ValueError(f"factor must be 1 or more, not {self.factor}")
        if self.max_seconds < 0:
            raise ValueError(f"max_seconds must be 0 or more, not {self.max_seconds}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter}")

    def delay(self, retry: int, source: random.Random) -> float:
        """Seconds to wait before the `retry`-th retry, which counts from 1."""
        try:
            seconds = min(self.base_seconds * self.factor ** (retry - 1), self.max_seconds)
        except OverflowError:
            seconds = self.max_seconds
        return seconds * (1 - self.jitter * source.random())
