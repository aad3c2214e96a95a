"""What a handler can ask for by raising: to fail for good, or to run again later."""

from typing import final

from job_service.failures.exception_groups import is_a, leaves
from job_service.jobs.registration.numbers import require_number
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS


class Discard(Exception):
    """Raised by a handler to fail its job at once: no retry follows.

    It takes a message, as any exception does, and may have subclasses.
    """

    __module__ = "job_service"  # as handlers import it, for tracebacks too


@final
class Snooze(Exception):
    """Raised by a handler to run its job again in `seconds`, which costs no retry.

    Raises TypeError if `seconds` is not a number, ValueError if it is below 0 or above 10 years.
    """

    __module__ = "job_service"

    def __init__(self, seconds: float) -> None:
        require_number("seconds", seconds, 0, LONGEST_WAIT_SECONDS)
        super().__init__(seconds)
        self.seconds = float(seconds)

    def __init_subclass__(cls) -> None:
        raise TypeError("Snooze can't have subclasses: raise it as it is")


def asked_for(error: BaseException) -> Discard | Snooze | None:
    """What the handler asks for by raising `error`; None if it has just failed.

    In a group, one Discard is enough. Snoozes count only if there is nothing else, because they
    must not hide other errors; the longest one wins.
    """
    all_leaves = list(leaves(error))
    for leaf in all_leaves:
        if is_a(leaf, Discard):
            return leaf
    snoozes = [leaf for leaf in all_leaves if is_a(leaf, Snooze)]
    if len(snoozes) < len(all_leaves):
        return None
    return max(snoozes, key=lambda snooze: snooze.seconds)
