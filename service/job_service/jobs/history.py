"""Which attempts of a job are kept: all, but of many that snoozed the first and the last few."""

from collections.abc import Sequence
from typing import Final

from job_service.jobs.model import Attempt

KEPT_AT_EACH_END: Final = 10


def without_snoozes_between(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The attempts without a snoozed one that has many others like it before and behind it."""
    snoozed = [attempt for attempt in attempts if attempt.outcome == "snoozed"]
    between = snoozed[KEPT_AT_EACH_END:-KEPT_AT_EACH_END]
    return tuple(attempt for attempt in attempts if attempt not in between)
