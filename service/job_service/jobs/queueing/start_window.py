"""The sliding window of a rate limit: which starts of the last seconds count against it."""

import math
from collections import deque


class StartWindow:
    """Lets up to `starts` jobs start in any time of `per_seconds`, and knows when the next one may.

    A job that was let through has its place reserved until it starts, however long that takes, and
    from then on for `per_seconds`. So it holds for the starts themselves. All moments are seconds
    of one monotonic clock.
    """

    def __init__(self, starts: int, per_seconds: float) -> None:
        self._most = starts
        self._seconds = per_seconds
        self._began = deque[float]()  # the oldest first
        self._reserved = set[str]()

    def __bool__(self) -> bool:
        return bool(self._began or self._reserved)

    @property
    def has_room(self) -> bool:
        """Whether one more may be let through, as of the last `forget_until`."""
        return len(self._began) + len(self._reserved) < self._most

    @property
    def next_room(self) -> float:
        """When the oldest start counts no more; infinity if none has begun."""
        return self._began[0] + self._seconds if self._began else math.inf

    @property
    def is_empty_at(self) -> float:
        """When no start counts any more; infinity if one is still to come, or there is none."""
        if self._reserved or not self._began:
            return math.inf
        return self._began[-1] + self._seconds

    def reserve(self, job_id: str) -> None:
        """A job is let through."""
        self._reserved.add(job_id)

    def begin(self, job_id: str, at: float) -> None:
        """It starts."""
        if job_id in self._reserved:
            self._reserved.remove(job_id)
            self._began.append(at)

    def give_back(self, job_id: str) -> None:
        """It will not start, if it has not yet."""
        self._reserved.discard(job_id)

    def forget_until(self, now: float) -> None:
        """Let go of the starts that count no more."""
        while self._began and self._began[0] + self._seconds <= now:
            self._began.popleft()
