"""The bound on pending jobs, and the two lines that tell when it is felt."""

from collections.abc import Callable

from job_service.jobs.clock import Clock
from job_service.telemetry.events import Event, QueueFreed, QueueFull


class Capacity:
    """Knows how many more pending jobs fit, and says when it begins and ceases to matter.

    `queue_full` comes with the first rejection, `queue_freed` once a quarter of the places are
    free again. That gap keeps a queue that hovers at its bound from flooding the log; and where it
    is free already, a batch that is too large for it is turned away without a line.
    """

    def __init__(self, limit: int, emit: Callable[[Event], None], clock: Clock) -> None:
        self._limit = limit
        self._freed_at = limit * 3 // 4
        self._emit = emit
        self._clock = clock
        self._full_since: float | None = None
        self._rejected_while_full = 0

    def room(self, pending: int) -> int:
        """How many more jobs fit where `pending` wait; below 0 where retries overfill it."""
        return self._limit - pending

    def rejected(self, jobs: int, pending: int) -> None:
        """So many jobs were turned away for want of room where `pending` wait."""
        if self._full_since is None:
            if pending <= self._freed_at:
                return
            self._full_since = self._clock.monotonic()
            self._emit(QueueFull(timestamp=self._clock.now(), queue_capacity=self._limit))
        self._rejected_while_full += jobs

    def pending_fell_to(self, pending: int) -> None:
        """One job less waits; `pending` are left."""
        if self._full_since is not None and pending <= self._freed_at:
            full_seconds = self._clock.monotonic() - self._full_since
            rejected, self._rejected_while_full = self._rejected_while_full, 0
            self._full_since = None
            self._emit(
                QueueFreed(
                    timestamp=self._clock.now(),
                    jobs_rejected=rejected,
                    full_seconds=round(full_seconds, 6),
                )
            )
