"""What this process knows of the jobs that it holds, and tells of them."""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import trio

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import EXCERPT_CHARS, JobDetail, detail_of
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Job, Status
from job_service.jobs.state.views import QueueView, TypeQueue
from job_service.stores.contract import Excerpt
from job_service.stores.runner import BacklogView, Demand, Runner, TypeBacklog
from job_service.telemetry.events import Event

if TYPE_CHECKING:
    from job_service.jobs.state.schedule_state import ScheduleState

_EXPLAINED_IN_ONE_GO: Final = 20  # jobs: why one waits may take a look at a thousand others
_LOOKED_AT: Final = 100  # jobs, for the oldest that is ready


class LiveReads(ABC):
    """The base of stores, as far as it changes nothing.

    `emit` is told all that happens to the live jobs, and so is the runner.
    """

    name: str  # as it is shown

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: float,
        retain_bytes: float,
    ) -> None:
        self.clock = clock
        self.capacity = capacity
        self._runner: Runner = Nobody()
        self._schedules: Mapping[str, ScheduleState] = {}
        self._live = LiveJobs(
            emit,
            clock,
            self._runner,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self._jobs = self._live.index.jobs
        self._counts = self._live.index.counts

    @property
    def why_idle(self) -> str | None:
        return None  # what is ready is handed to whoever is free

    @property
    def pending(self) -> int:
        return self._counts["pending"]

    @property
    def blocked(self) -> int:
        return self._live.dependencies.waiting

    @property
    def processing(self) -> int:
        return self._counts["processing"]

    @property
    def weight(self) -> int:
        return self._live.index.weight

    @property
    def finished(self) -> int | None:
        """How many jobs are kept that have ended, if that is worth telling."""
        return None

    def _detail(self, job: Job) -> JobDetail:
        waits = job.status == "pending"
        return detail_of(job, self._runner.why_it_waits(job) if waits else None)

    def _excerpt(self, job: Job) -> Excerpt:
        start = job.payload[: 4 * EXCERPT_CHARS].decode(errors="ignore")[:EXCERPT_CHARS]
        waits = job.status == "pending"
        return Excerpt(start, self._runner.why_it_waits(job) if waits else None)

    async def _excerpts_of_live(self, ids: Sequence[str]) -> dict[str, Excerpt]:
        """Of those of these jobs that this process holds."""
        found = dict[str, Excerpt]()
        for number, job_id in enumerate(ids):
            if number % _EXPLAINED_IN_ONE_GO == 0:
                await trio.lowlevel.checkpoint()
            if (job := self._jobs.get(job_id)) is not None:
                found[job_id] = self._excerpt(job)
        return found

    def _count_by_type(self) -> Mapping[str, Mapping[Status, int]]:
        """How many jobs of each type wait and run."""
        return self._jobs.count(("pending", "processing"))

    def _view(self) -> QueueView:
        backlog, counts = self._runner.view(), self._count_by_type()
        pending = sum(of_type["pending"] for of_type in counts.values())
        not_ready = backlog.later + self.blocked + backlog.unfit
        ready = max(0, pending - not_ready)  # or on its way to a worker
        types = [
            self._view_of_type(name, of_type, backlog.types.get(name, TypeBacklog()))
            for name, of_type in sorted(counts.items())
            if of_type["pending"] or of_type["processing"]
        ]
        return QueueView(
            paused=backlog.paused,
            paused_types=list(backlog.paused_types),
            capacity=self.capacity,
            pending=pending,
            ready=ready,
            later=backlog.later,
            blocked=self.blocked,
            unfit=backlog.unfit,
            processing=sum(of_type["processing"] for of_type in counts.values()),
            oldest_ready_seconds=oldest_of(types),
            store=self.name,
            finished=self.finished,
            types=types,
        )

    def _view_of_type(
        self, name: str, counts: Mapping[Status, int], backlog: TypeBacklog
    ) -> TypeQueue:
        blocked = self._live.dependencies.by_type[name]
        ready = max(0, counts["pending"] - backlog.not_ready - blocked)
        oldest = backlog.oldest_ready
        if ready and oldest is None:  # so many come before it that they were not looked at
            wanted = JobFilter(statuses=("pending",), types=(name,))
            first = self._jobs.page(wanted, after=None, limit=_LOOKED_AT).jobs
            since = [job.ready_monotonic for job in first if job.ready_monotonic is not None]
            oldest = min(since, default=None)
        return TypeQueue(
            type=name,
            pending=counts["pending"],
            ready=ready,
            processing=counts["processing"],
            oldest_ready_seconds=self._seconds_since(oldest) if ready else None,
            seconds_to_empty=seconds_to_empty(ready, backlog.starts_per_second),
        )

    def _seconds_since(self, moment: float | None) -> float | None:
        """How long ago this moment of the monotonic clock is."""
        if moment is None:
            return None
        return round(max(0.0, self.clock.monotonic() - moment), 6)


def seconds_to_empty(ready: int, starts_per_second: float) -> float | None:
    """How long it takes to start so many jobs; None if none starts."""
    if ready == 0:
        return 0.0
    return round(ready / starts_per_second, 3) if starts_per_second > 0 else None


def oldest_of(types: Iterable[TypeQueue]) -> float | None:
    """How long the oldest of all ready jobs has been ready; None if none is."""
    return max((each.oldest_ready_seconds or 0.0 for each in types if each.ready), default=None)


class Nobody:
    """The runner until there is one: jobs wait for it."""

    def add(self, *_: object) -> None:
        pass

    def attempt_ended(self, *_: object) -> None:
        pass

    def discard(self, *_: object) -> None:
        pass

    def lose(self, *_: object) -> None:
        pass

    def recover(self, *_: object) -> None:
        pass

    def take_back(self, *_: object) -> bool:
        return True

    def hold(self, *_: object) -> None:
        pass

    def pause(self, *_: object) -> bool:
        return False

    def resume(self, *_: object) -> bool:
        return False

    def why_it_waits(self, *_: object) -> str:
        return "the service has not started yet"

    def demand(self) -> Demand:
        return Demand()

    def view(self) -> BacklogView:
        return BacklogView()
