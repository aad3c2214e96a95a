"""Changes jobs that no process holds, by the same rules as those in memory.

They are taken in from their rows for the time of one transaction, and what becomes of them is
written back in it.
"""

import math

from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Job, Status
from job_service.stores.live_reads import Nobody
from job_service.telemetry.events import Event


class Elsewhere:
    """Jobs in a transaction; `told` has what was said of them."""

    def __init__(self, clock: Clock) -> None:
        self.told: list[Event] = []
        self._live = LiveJobs(
            self.told.append,
            clock,
            Nobody(),
            capacity=0,
            capacity_bytes=0,
            retain=math.inf,
            retain_bytes=math.inf,
        )
        self.get = self._live.index.jobs.get
        self.holder = self._live.index.holder

    @property
    def counts(self) -> dict[Status, int]:
        """How many of them have which status."""
        return self._live.index.counts

    @property
    def unfinished_bytes(self) -> int:
        """What those weigh that have not ended."""
        return self._live.index.unfinished_bytes

    def take_in(self, job: Job) -> None:
        """A job that is kept and has not ended."""
        self._live.restore(job)

    def apply(self, change: Change) -> None:
        """Let it happen to one of them, and what follows from it."""
        self._live.apply(change)

    def take_told(self) -> list[Event]:
        """What was said since this was asked last."""
        told, self.told[:] = self.told[:], []
        return told
