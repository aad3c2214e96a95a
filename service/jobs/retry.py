"""How often a failed job is tried again, and how long it waits before each time."""

import math
import random
import sys
from dataclasses import dataclass

LONGEST_WAIT_SECONDS = 10 * 365 * 86_400


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
        _require("max_retries", self.max_retries, 0, math.inf)
        _require("base_seconds", self.base_seconds, 0, LONGEST_WAIT_SECONDS)
        _require("factor", self.factor, 1, sys.float_info.max)
        _require("max_seconds", self.max_seconds, 0, LONGEST_WAIT_SECONDS)
        _require("jitter", self.jitter, 0, 1)

    def delay(self, retry: int, source: random.Random) -> float:
        """Seconds to wait before the `retry`-th retry, which counts from 1."""
        try:
            seconds = min(self.base_seconds * self.factor ** (retry - 1), self.max_seconds)
        except OverflowError:
            seconds = self.max_seconds if self.base_seconds else 0
        return seconds * (1 - self.jitter * source.random())


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # nor is it, where the value is not a number
        raise ValueError(f"{name} must be between {low} and {high}, not {value}")
