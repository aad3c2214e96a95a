"""What is kept of a job's attempts: all, but of many that end alike the first and the last few."""

from collections.abc import Sequence
from typing import Final

from job_service.errors.names import shortened
from job_service.jobs.model import Attempt

KEPT_AT_EACH_END: Final = 10  # of those that snoozed
KEPT_IN_FULL: Final = 3  # of those that failed, the first ones and the last ones
MAX_CHARS_BETWEEN: Final = 100  # of each error between those, which has no traceback


def without_snoozes_between(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The attempts without a snoozed one that has many others like it before and behind it."""
    snoozed = [attempt for attempt in attempts if attempt.outcome == "snoozed"]
    between = snoozed[KEPT_AT_EACH_END:-KEPT_AT_EACH_END]
    return tuple(attempt for attempt in attempts if attempt not in between)


def forget_what_is_between(failures: Sequence[Attempt]) -> None:
    """Now that there is one more, cut short the one that is neither among the first nor the last.

    A thousand retries say the same a thousand times; how it began and where it is now is enough.
    """
    if len(failures) > 2 * KEPT_IN_FULL:
        between = failures[-1 - KEPT_IN_FULL]
        between.traceback = None
        between.error = between.error and shortened(between.error, MAX_CHARS_BETWEEN)


def said_before(error: str, failures: Sequence[Attempt]) -> str:
    """The text itself, or the same one of the failure before the last: it is kept once then."""
    before = failures[-2].error if len(failures) > 1 else None
    return before if before == error else error
