"""How many jobs of each type have which status, as far as it was told."""

from collections.abc import Mapping

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


class KeptCounts:
    """Counts by type and status; `observe` takes each event when it is told."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[Status, int]] = {}
        self.finished = 0

    def observe(self, event: Event) -> None:
        """Count what it tells."""
        if isinstance(event, JobEvent) and (move := _move(event)) is not None:
            before, after = move
            if before is not None:
                self.add(event.job_type, before, -1)
            self.add(event.job_type, after, 1)

    def add(self, job_type: str, status: Status, jobs: int) -> None:
        """So many jobs more, or fewer."""
        of_type = self._counts.get(job_type)
        if of_type is None:
            of_type = self._counts[job_type] = dict.fromkeys(TRANSITIONS, 0)
        of_type[status] += jobs
        if status in TERMINAL:
            self.finished += jobs

    def rescued(self, job_type: str) -> None:
        """A job was kept as running, but nobody runs it: it is counted as pending."""
        self.add(job_type, "processing", -1)
        self.add(job_type, "pending", 1)

    def all(self) -> Mapping[str, dict[Status, int]]:
        """A copy, without types that have no jobs."""
        return {
            job_type: dict(of_type)
            for job_type, of_type in self._counts.items()
            if any(of_type.values())
        }


def _move(event: JobEvent) -> tuple[Status | None, Status] | None:
    """From which status to which the job has moved; None if to none."""
    match event:
        case JobCreated():
            return None, "pending"
        case JobStarted():
            return "pending", "processing"
        case JobCompleted():
            return "processing", "completed"
        case JobRetried() | JobSnoozed() | JobReleased():
            return "processing", "pending"
        case JobFailed():
            return _left_by(event.run_seconds), "failed"
        case JobCancelled():
            return _left_by(event.run_seconds), "cancelled"
        case JobAbandoned():
            return _left_by(event.run_seconds), "abandoned"
    return None


def _left_by(run_seconds: object) -> Status:
    return "pending" if run_seconds is UNSET else "processing"
