"""How often a failed job is retried, and how long it waits before each retry."""

import inspect
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from job_service.failures.exception_groups import is_a, leaves
from job_service.failures.report import describe
from job_service.failures.size import shown
from job_service.jobs.registration.numbers import is_number, require_integer, require_number

MAX_RETRIES_LIMIT = 1_000
LONGEST_WAIT_SECONDS = 10 * 365 * 86_400
USUAL_MAX_SECONDS = 300

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff: the k-th retry waits base_seconds * factor ** (k - 1) seconds.

    `max_retries` is from 0 to 1000. No wait is longer than `max_seconds`, which is 300 or, if that
    is more, `base_seconds`, unless it is given. `jitter` shortens each wait by a random share of up
    to that much (0.1: by at most a tenth), so that jobs which failed together do not come back
    together.

    An error is worth a retry if it is one of `retry_on` and none of `give_up_on`; each is an
    exception type or a tuple of them. In a group, every error must be worth it. An attempt that
    takes longer than its timeout fails with a TimeoutError.

    `backoff(retry, error)` returns the seconds to wait before the `retry`-th retry, and replaces
    the formula and its jitter. Less than 0 counts as 0. If it raises, or returns anything that is
    not a number of up to 10 years, the formula decides, and the job's error says so. It is called
    on the event loop, so it must not block.

    Raises ValueError if a number is out of its range, and TypeError if a value is of the wrong
    type.
    """

    max_retries: int = 3
    base_seconds: float = 1
    factor: float = 2
    max_seconds: float | None = None
    jitter: float = 0.1
    retry_on: ErrorTypes = BaseException
    give_up_on: ErrorTypes = ()
    backoff: Callable[[int, BaseException], float] | None = None

    def __post_init__(self) -> None:
        require_integer("max_retries", self.max_retries, 0, MAX_RETRIES_LIMIT)
        require_number("base_seconds", self.base_seconds, 0, LONGEST_WAIT_SECONDS)
        require_number("factor", self.factor, 1, sys.float_info.max)
        if self.max_seconds is not None:
            require_number("max_seconds", self.max_seconds, 0, LONGEST_WAIT_SECONDS)
        require_number("jitter", self.jitter, 0, 1)
        _require_error_types("retry_on", self.retry_on)
        _require_error_types("give_up_on", self.give_up_on)
        _require_function("backoff", self.backoff)

    def is_worth(self, error: BaseException) -> bool:
        """Whether to retry a job that failed with `error`, if it has retries left."""
        return all(
            _is_one_of(leaf, self.retry_on) and not _is_one_of(leaf, self.give_up_on)
            for leaf in leaves(error)
        )

    def delay_after(
        self, error: BaseException, retry: int, source: random.Random
    ) -> tuple[float, str | None]:
        """Seconds to wait before the `retry`-th retry, and what is wrong with `backoff`, if any."""
        if self.backoff is None:
            return self.delay(retry, source), None
        try:
            return _as_wait(self.backoff(retry, error)), None
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # as from a handler
            return self.delay(retry, source), f"backoff failed: {describe(problem)}"

    def delay(self, retry: int, source: random.Random) -> float:
        """Seconds to wait before the `retry`-th retry by the formula; the first retry is 1."""
        longest = self.max_seconds
        if longest is None:
            longest = max(USUAL_MAX_SECONDS, self.base_seconds)
        try:
            seconds = min(self.base_seconds * self.factor ** (retry - 1), longest)
        except OverflowError:
            seconds = longest if self.base_seconds else 0
        return seconds * (1 - self.jitter * source.random())


def _as_wait(seconds: object) -> float:
    """What `backoff` returned, in seconds. Raises TypeError or ValueError if it is no such wait."""
    if not is_number(seconds):
        raise TypeError(f"it returned {shown(seconds)}")
    if not seconds <= LONGEST_WAIT_SECONDS:  # nan is not, either
        raise ValueError(f"it returned {seconds}, and no job may wait longer than 10 years")
    return float(max(seconds, 0))


def _is_one_of(error: BaseException, kinds: ErrorTypes) -> bool:
    return any(is_a(error, kind) for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def _require_error_types(name: str, value: object) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(f"{name} must be an exception type or a tuple of them, not {value!r}")


def _require_function(name: str, value: object) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise TypeError(f"{name} must be a plain function, not {value!r}")
