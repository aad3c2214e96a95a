"""The capacity of the queue, in jobs and bytes, and the events that say when it is full or not."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import UNSET

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Status
from job_service.telemetry.events import Event, QueueFreed, QueueFull


class Totals(Protocol):
    """How many jobs there are of each status, and the bytes of those that have not ended."""

    @property
    def counts(self) -> Mapping[Status, int]: ...

    @property
    def unfinished_bytes(self) -> int: ...


class Capacity:
    """Knows how much more fits into the queue, and tells when that begins and ceases to matter.

    Its places are for pending jobs. Its bytes are for all jobs that have not ended, because one
    that runs keeps its payload.

    `queue_full` comes with the first rejection, `queue_freed` once a quarter of the places and of
    the bytes is free again. That gap keeps a queue that hovers at its bound from flooding the log.
    While so much is free, a batch that is too large is turned away without a line.
    """

    def __init__(
        self,
        totals: Totals,
        emit: Callable[[Event], None],
        clock: Clock,
        limit: int,
        limit_bytes: int,
    ) -> None:
        self.totals = totals
        self._emit = emit
        self._clock = clock
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.is_full = False  # from the first rejection on, until there is room to spare
        self._full_since = 0.0
        self._rejected_while_full = 0

    @property
    def room(self) -> int:
        """How many more jobs fit; below 0 if retries overfill it."""
        return self.limit - self.totals.counts["pending"]

    @property
    def room_bytes(self) -> int:
        """How many more bytes fit; may be below 0, too."""
        return self.limit_bytes - self.totals.unfinished_bytes

    def fits(self, jobs: int, size: int) -> bool:
        """Whether this many jobs, of this many bytes together, fit."""
        return (
            jobs <= self.limit - self.totals.counts["pending"]
            and size <= self.limit_bytes - self.totals.unfinished_bytes
        )

    def rejected(self, jobs: int) -> None:
        """This many jobs were turned away because there was no room for them."""
        if not self.is_full:
            if self._is_free:
                return
            self.is_full = True
            self._full_since = self._clock.monotonic()
            self._emit(
                QueueFull(
                    timestamp=self._clock.now(),
                    queue_capacity=self.limit,
                    queue_bytes=self.limit_bytes if self._is_free_of_jobs else UNSET,
                )
            )
        self._rejected_while_full += jobs

    def eased(self) -> None:
        """A job has left the full queue, or has ended."""
        if self._is_free:
            full_seconds = self._clock.monotonic() - self._full_since
            rejected, self._rejected_while_full = self._rejected_while_full, 0
            self.is_full = False
            self._emit(
                QueueFreed(
                    timestamp=self._clock.now(),
                    jobs_rejected=rejected,
                    full_seconds=round(full_seconds, 6),
                )
            )

    @property
    def _is_free(self) -> bool:
        enough_bytes = self.totals.unfinished_bytes <= self.limit_bytes * 3 // 4
        return enough_bytes and self._is_free_of_jobs

    @property
    def _is_free_of_jobs(self) -> bool:
        return self.totals.counts["pending"] <= self.limit * 3 // 4
