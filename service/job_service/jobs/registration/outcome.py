"""What a handler can ask for by raising: to fail for good, or to come back later."""

from typing import final

from job_service.failures.groups import is_a, leaves
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS


class Discard(Exception):
    """Raised by a handler whose job is not worth another attempt: it fails at once."""

    __module__ = "job_service"  # as handlers know it, also in their tracebacks


@final
class Snooze(Exception):
    """Raised by a handler whose job is to come back in `seconds`, which costs no retry.

    Raises TypeError where `seconds` is no number, and ValueError where it is below 0 or more than
    10 years.
    """

    __module__ = "job_service"

    def __init__(self, seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"seconds must be a number, not {seconds!r}")
        if not 0 <= seconds <= LONGEST_WAIT_SECONDS:
            raise ValueError(f"seconds must be between 0 and {LONGEST_WAIT_SECONDS}, not {seconds}")
        super().__init__(seconds)
        self.seconds = float(seconds)

    def __init_subclass__(cls) -> None:
        raise TypeError("Snooze can't have subclasses: raise it as it is")


def asked_for(error: BaseException) -> Discard | Snooze | None:
    """What the handler asks for by `error`; None where it has just failed.

    Of a group, one Discard is enough, but a Snooze must not hide other errors. The longest counts.
    """
    all_leaves = list(leaves(error))
    for leaf in all_leaves:
        if is_a(leaf, Discard):
            return leaf
    snoozes = [leaf for leaf in all_leaves if is_a(leaf, Snooze)]
    if len(snoozes) < len(all_leaves):
        return None
    return max(snoozes, key=lambda snooze: snooze.seconds)
