"""What is kept of a job's attempts: all, but of many that end alike the first and the last few."""

from collections.abc import Sequence
from typing import Final

from job_service.failures.names import shortened
from job_service.jobs.state.job_log import without_lines
from job_service.jobs.state.model import Attempt, AttemptOutcome

KEPT_AT_EACH_END: Final = 10  # of those that snoozed, or that were cut short by a stop
KEPT_IN_FULL: Final = 3  # of those that failed, the first ones and the last ones
MAX_CHARS_BETWEEN: Final = 100  # of each error between those, which has no traceback


def without_many_between(
    attempts: Sequence[Attempt], outcome: AttemptOutcome
) -> tuple[Attempt, ...]:
    """The attempts without one of this outcome that has many others before and behind it."""
    alike = [attempt for attempt in attempts if attempt.outcome == outcome]
    between = alike[KEPT_AT_EACH_END:-KEPT_AT_EACH_END]
    return tuple(attempt for attempt in attempts if attempt not in between)


def forget_what_is_between(attempts: Sequence[Attempt]) -> None:
    """Now that one more has failed, cut short the one neither among the first nor the last to fail.

    A thousand retries say the same a thousand times; how it began and where it is now is enough.
    """
    failed = _failed(attempts)
    if len(failed) > 2 * KEPT_IN_FULL:
        between = failed[-1 - KEPT_IN_FULL]
        between.traceback = None
        between.log = without_lines(between.log)
        between.error = between.error and shortened(between.error, MAX_CHARS_BETWEEN)


def said_before(error: str, attempts: Sequence[Attempt]) -> str:
    """The text itself, or the same one of the last that has failed: it is kept once then."""
    failed = _failed(attempts)
    before = failed[-1].error if failed else None
    return before if before == error else error


def _failed(attempts: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.outcome == "failed"]
