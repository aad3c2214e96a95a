"""Jobs that a test moves by hand, without an engine: each change is decided and applied at once."""

from collections.abc import Callable

from job_service.jobs.state.attempt_transitions import start
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Attempt, Draft, Job
from job_service.jobs.state.transitions import create
from job_service.telemetry.events import Event


def nothing() -> None:
    """What interrupts an attempt that nobody watches."""


class Told:
    """A runner that runs nothing, and remembers what it was told of which job."""

    def __init__(self) -> None:
        self.of: list[tuple[str, str]] = []

    def add(self, job: Job, _: float | None) -> None:
        """It waits for a worker."""
        self.of.append(("add", job.id))

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """It has made room, and perhaps comes back."""
        self.of.append(("ended" if ready_in is None else "comes back", job.id))

    def discard(self, job: Job) -> None:
        """It will not be run."""
        self.of.append(("discard", job.id))


class Desk:
    """A few jobs, what was said of them, and what their runner was told."""

    def __init__(
        self,
        clock: Clock,
        hear: Callable[[Event], None],
        *,
        capacity: int = 10,
        retain: int = 10,
        megabytes: int = 1,
    ) -> None:
        self.clock = clock
        self.told = Told()
        self.live = LiveJobs(
            hear,
            clock,
            self.told,
            capacity=capacity,
            capacity_bytes=megabytes * 1_000_000,
            retain=retain,
            retain_bytes=megabytes * 1_000_000,
        )
        self.counts = self.live.index.counts

    def apply(self, change: Change) -> None:
        """Let it happen."""
        self.live.apply(change)

    def create(self, draft: Draft, *predecessors: Job) -> Job:
        """A new job."""
        creation = create(draft, self.clock, predecessors)
        self.apply(creation)
        return creation.job

    def start(self, job: Job, interrupt: Callable[[], None] = nothing) -> Attempt:
        """A worker begins an attempt."""
        change = start(job, "worker-1", interrupt, self.clock)
        self.apply(change)
        return change.attempt
