"""A rate limit: how many jobs of a type may start within a time."""

from dataclasses import dataclass

from job_service.jobs.registration.numbers import require_integer, require_seconds

MOST_STARTS = 100_000
LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` jobs start in any `per_seconds` seconds, wherever those begin.

    `starts` is from 1 to 100,000, and `per_seconds` is up to a day. All of them may start at
    once, if none has started for that long.

    Raises ValueError if a number is out of its range, and TypeError if it is none.
    """

    starts: int
    per_seconds: float

    def __post_init__(self) -> None:
        require_integer("starts", self.starts, 1, MOST_STARTS)
        require_seconds("per_seconds", self.per_seconds, LONGEST_SECONDS)
