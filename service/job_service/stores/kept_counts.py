"""How many jobs of each type have which status, as far as it was told."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Status
from job_service.telemetry.events import (
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEvent,
    JobFailed,
    JobReleased,
    JobRetried,
    JobSnoozed,
    JobStarted,
)

# From which status to which a job moves. From pending, if it ends without having run.
_MOVES: Final[dict[type[Event], tuple[Status | None, Status]]] = {
    JobCreated: (None, "pending"),
    JobStarted: ("pending", "processing"),
    JobRetried: ("processing", "pending"),
    JobSnoozed: ("processing", "pending"),
    JobReleased: ("processing", "pending"),
    JobCompleted: ("processing", "completed"),
    JobFailed: ("processing", "failed"),
    JobCancelled: ("processing", "cancelled"),
    JobAbandoned: ("processing", "abandoned"),
}


class KeptCounts:
    """Counts by type and status; `observe` takes each event when it is told."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, Status]]()
        self.finished = 0

    def observe(self, event: Event) -> None:
        """Count what it tells."""
        move = _MOVES.get(type(event))
        if move is None or not isinstance(event, JobEvent):
            return
        before, after = move
        if after in TERMINAL:
            self.finished += 1
            if getattr(event, "run_seconds", UNSET) is UNSET:
                before = "pending"
        self._counts[event.job_type, after] += 1
        if before is not None:
            self._counts[event.job_type, before] -= 1

    def add(self, job_type: str, status: Status, jobs: int) -> None:
        """This many jobs more, or fewer, without an event."""
        self._counts[job_type, status] += jobs
        if status in TERMINAL:
            self.finished += jobs

    def all(self) -> Mapping[str, dict[Status, int]]:
        """How many there are, by type and status, of types that have any."""
        counts: dict[str, dict[Status, int]] = {}
        for (job_type, status), jobs in self._counts.items():
            if jobs:
                counts.setdefault(job_type, dict.fromkeys(TRANSITIONS, 0))[status] = jobs
        return counts
