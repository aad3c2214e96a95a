"""A store with a runner that does what the test says, and all that both have told."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from job_service.jobs.state.attempt_reports import progress
from job_service.jobs.state.attempt_transitions import (
    complete,
    cut_short,
    fail,
    retry,
    snooze,
    start,
)
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.limits import NO_LIMITS
from job_service.jobs.state.model import TERMINAL, Attempt, Draft, Job
from job_service.jobs.state.progress import Progress
from job_service.jobs.state.transitions import enqueue
from job_service.stores.contract import KeyedRequest, Store
from job_service.stores.record import decode, encode, record_of, restore
from job_service.stores.runner import BacklogView, Demand, TypeBacklog
from job_service.telemetry.counting import Metrics
from job_service.telemetry.events import (
    Event,
    JobEvent,
    JobsClaimed,
    JobsReleased,
    StoreCommitted,
    StoreOpened,
)
from tests.conftest import assert_balanced

How = Literal["complete", "fail", "retry", "snooze", "cancel", "abandon"]

START = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


class OpenStore(Protocol):
    """How a store of one kind is opened, empty; it is closed when the block is left."""

    def __call__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: int,
        retain_bytes: int,
    ) -> AbstractAsyncContextManager[Store]:
        """A new store."""


class Workshop:
    """What a test does with one store. Time passes when the test says so.

    `waiting` has the jobs that the store has told its runner to bring to workers, `ready_in` in how
    many seconds it said that each is ready, and `running` those with an attempt, each by its id.
    Those that are `on_their_way` to a worker can't be taken back.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = Clock(self.now, lambda: self.seconds, lambda: self.seconds)
        self.events: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.metrics = Metrics(1_000)
        self.waiting: dict[str, Job] = {}
        self.ready_in: dict[str, float | None] = {}
        self.running: dict[str, tuple[Job, Attempt]] = {}
        self.recovered: list[str] = []
        self.interrupted: list[str] = []
        self.on_their_way: set[str] = set()
        self.paused: set[str | None] = set()
        self.held_because: str | None = None
        self.pace: dict[str, float] = {}  # of each type, so many jobs begin a second
        self.store: Store

    def now(self) -> datetime:
        """The date."""
        return START + timedelta(seconds=self.seconds)

    def hear(self, event: Event) -> None:
        """What an emitter would do with an event of the store."""
        self.metrics.observe(event)
        if isinstance(event, StoreOpened | StoreCommitted | JobsClaimed | JobsReleased):
            return  # which tell of no job
        self.events.append(event)
        for listener in self.listeners:
            listener(event)

    # The store's runner.

    def add(self, job: Job, ready_in: float | None) -> None:
        """A job waits for a worker."""
        assert job.id not in self.waiting
        assert job.status == "pending"
        assert job.ready_monotonic is None
        self.waiting[job.id] = job
        self.ready_in[job.id] = ready_in

    def recover(self, job: Job) -> str | None:
        """A job was there before us."""
        self.recovered.append(job.id)
        if job.awaits is None:
            self.add(job, None)
        return None

    def take_back(self, job: Job) -> bool:
        """It is to wait anew, unless a worker has it."""
        assert job.status == "pending"
        if job.ready_monotonic is not None and job.id in self.on_their_way:
            return False
        self.waiting.pop(job.id, None)
        return True

    def hold(self, why: str | None) -> None:
        """Start nothing while the store is in trouble."""
        self.held_because = why

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """A worker is done with it. One whose process has died has it no more."""
        left = job.attempts[-1].outcome in ("interrupted", "lost")
        assert left or (job.status == "pending" if ready_in is not None else job.status in TERMINAL)
        if job.attempts[-1].outcome != "lost":
            del self.running[job.id]
        if ready_in is not None:
            self.add(job, ready_in)

    def discard(self, job: Job) -> None:
        """It will not be run."""
        assert job.status in TERMINAL
        self.waiting.pop(job.id, None)

    def lose(self, job: Job) -> None:
        """Others have it."""
        self.waiting.pop(job.id, None)

    def pause(self, job_type: str | None) -> bool:
        """Hold back."""
        is_new = job_type not in self.paused
        self.paused.add(job_type)
        return is_new

    def resume(self, job_type: str | None) -> bool:
        """Go on."""
        was_there = job_type in self.paused
        self.paused.discard(job_type)
        return was_there

    def why_it_waits(self, job: Job) -> str:
        """In a sentence."""
        assert job.status == "pending"
        return "the workshop is slow"

    def demand(self) -> Demand:
        """It takes whatever there is."""
        return Demand(1_000_000, 0, {"email": NO_LIMITS, "letter": NO_LIMITS})

    def view(self) -> BacklogView:
        """What is held back."""
        paused = sorted(each for each in self.paused if each is not None)
        types = {job.type for job in self.waiting.values()} | self.pace.keys()
        return BacklogView(
            None in self.paused, paused, types={name: self._backlog_of(name) for name in types}
        )

    def _backlog_of(self, job_type: str) -> TypeBacklog:
        since = [job.ready_monotonic for job in self.waiting.values() if job.type == job_type]
        ready = [moment for moment in since if moment is not None]
        oldest = min(ready, default=None)
        return TypeBacklog(len(since) - len(ready), oldest, self.pace.get(job_type, 0.0))

    # What a test does.

    async def submit(
        self, *drafts: Draft, key: str | None = None, asked: str = ""
    ) -> list[JobSummary]:
        """Submit these drafts, or one that is nothing special."""
        wanted = list(drafts) or [Draft("email", b"{}", 3)]
        request = None if key is None else KeyedRequest(key, (asked or str(wanted)).encode())
        return list(await self.store.submit(wanted, request))

    async def new(self, **options: Any) -> str:
        """The id of a new job."""
        return (await self.submit(Draft("email", b"{}", 3, **options)))[0].id

    async def apply(self, change: Change) -> None:
        """Hand over a change, and wait until it is kept."""
        self.store.apply(change)
        await self.store.settled()

    async def make_ready(self, job_id: str) -> Job:
        """Its time has come."""
        job = self.waiting[job_id]
        if job.ready_monotonic is None:
            await self.apply(enqueue(job, self.clock))
        return job

    async def start(self, job_id: str) -> Attempt:
        """A worker takes it."""
        job = await self.make_ready(job_id)
        del self.waiting[job_id]
        change = start(job, "worker-1", lambda: self.interrupted.append(job_id), self.clock)
        self.running[job_id] = job, change.attempt
        await self.apply(change)
        return change.attempt

    async def tell_progress(self, job_id: str, done: int) -> None:
        """Its handler says how far it has come."""
        job, attempt = self.running[job_id]
        await self.apply(progress(job, attempt, Progress(done, 10), self.clock))

    async def end(self, job_id: str, how: How = "complete", error: str = "ValueError: no") -> None:
        """Its attempt ends."""
        job, attempt = self.running[job_id]
        match how:
            case "complete":
                change = complete(job, attempt, b'"250 OK"', self.clock)
            case "fail":
                change = fail(job, attempt, error, "Traceback: no", self.clock)
            case "retry":
                change = retry(job, attempt, error, "Traceback: no", 5.0, self.clock)
            case "snooze":
                change = snooze(job, attempt, 5.0, self.clock)
            case "cancel":
                change = cut_short(job, attempt, "cancelled", "requested", self.clock)
            case "abandon":
                change = cut_short(job, attempt, "abandoned", "crashed", self.clock)
        await self.apply(change)

    async def run(self, job_id: str, how: How = "complete") -> JobDetail:
        """One attempt from its start to its end; the job after that, as the store tells it."""
        await self.run_and_forget(job_id, how)
        return await self.store.get(job_id)

    async def run_and_forget(self, job_id: str, how: How = "complete") -> None:
        """One attempt from its start to its end; the job may be kept no more after that."""
        await self.start(job_id)
        await self.end(job_id, how)

    def told(self, job_id: str) -> list[str]:
        """The events of one job, without `job_`."""
        return [
            event.event.removeprefix("job_")
            for event in self.events
            if isinstance(event, JobEvent) and event.job_id == job_id
        ]

    async def check(self) -> None:
        """All that the store tells agrees, and so do its counts with its events."""
        await self.store.settled()
        now, view = self.metrics.snapshot(), await self.store.view()
        assert_balanced(now)
        store = self.store
        assert (now.jobs_pending, now.jobs_in_progress) == (store.pending, store.processing)
        assert now.jobs_ready == sum(
            job.ready_monotonic is not None for job in self.waiting.values()
        )
        # If the store is shared, no process holds the jobs that await others.
        blocked_elsewhere = view.blocked - store.blocked
        assert blocked_elsewhere in (0, view.blocked)
        assert (store.pending + blocked_elsewhere, store.processing) == (
            view.pending,
            view.processing,
        )
        assert view.pending == len(self.waiting) + view.blocked
        assert view.processing == len(self.running)
        page = await self.everything()
        assert [job.id for job in page] == sorted(job.id for job in page)
        listed = Counter((job.type, job.status) for job in page)
        counted = {
            (job_type, status): number
            for job_type, numbers in (await self.store.counts()).items()
            for status, number in numbers.items()
            if number
        }
        assert counted == listed
        for job in (*self.waiting.values(), *(job for job, _ in self.running.values())):
            record = record_of(job)
            assert record_of(restore(decode(encode(record)), job.payload)) == record

    async def everything(self) -> list[JobSummary]:
        """All jobs that are kept, the oldest first."""
        page = await self.store.page(JobFilter(), after=None, limit=1_000, newest_first=False)
        return page.jobs


MakeWorkshop = Callable[..., Awaitable[Workshop]]
