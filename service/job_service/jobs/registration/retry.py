"""How often a failed job is tried again, and how long it waits before each time."""

import inspect
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from job_service.failures.groups import is_a, leaves
from job_service.failures.report import describe
from job_service.jobs.registration.numbers import require_integer, require_number

MAX_RETRIES_LIMIT = 1_000
LONGEST_WAIT_SECONDS = 10 * 365 * 86_400
USUAL_MAX_SECONDS = 300

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff: the k-th retry waits base_seconds * factor ** (k - 1).

    The wait never exceeds `max_seconds`, which without a word is 300, or `base_seconds` where that
    is more. `jitter` shortens each wait by a random share of up to
    that much (0.1: by at most a tenth), so that jobs which failed together do not return together.

    Only an error that is one of `retry_on` and none of `give_up_on`, each a type or several, is
    worth a retry; of a group, each error in it must be. A timeout is a TimeoutError.

    `backoff(retry, error)` gives the seconds to wait before the `retry`-th retry in the formula's
    place, without jitter. It is called on the event loop, so it must not block.

    Raises ValueError where a number is out of its range, and TypeError where it is no number, or
    `retry_on`, `give_up_on` or `backoff` is something else.
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
        """Whether a job that ended with `error` is to be tried again, if it has retries left."""
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
            seconds = self.backoff(retry, error)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"it gave {seconds!r}")
            bounded = min(max(seconds, 0), LONGEST_WAIT_SECONDS)
            if math.isnan(bounded):
                raise ValueError("it gave nan")
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # as of a handler
            return self.delay(retry, source), f"backoff failed: {describe(problem)}"
        return float(bounded), None

    def delay(self, retry: int, source: random.Random) -> float:
        """Seconds to wait before the `retry`-th retry, which counts from 1."""
        longest = self.max_seconds
        if longest is None:
            longest = max(USUAL_MAX_SECONDS, self.base_seconds)
        try:
            seconds = min(self.base_seconds * self.factor ** (retry - 1), longest)
        except OverflowError:
            seconds = longest if self.base_seconds else 0
        return seconds * (1 - self.jitter * source.random())


def _is_one_of(error: BaseException, kinds: ErrorTypes) -> bool:
    return any(is_a(error, kind) for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def _require_error_types(name: str, value: object) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(f"{name} must be an exception type or a tuple of them, not {value!r}")


def _require_function(name: str, value: object) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise TypeError(f"{name} must be a plain function, not {value!r}")
