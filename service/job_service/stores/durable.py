"""What stores do that keep jobs beyond the process: apply at once, and tell when it is kept."""

import math
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
from msgspec import UNSET

from job_service.errors import AlreadyFinished, NotFinished, StoreUnavailable
from job_service.jobs.state.attempt_transitions import release
from job_service.jobs.state.changes import CancelRequest, Change, Readiness
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    detail_of,
    summarize,
)
from job_service.jobs.state.model import TERMINAL, Draft, IllegalTransition, Job, Status
from job_service.stores.commit import CannotKeep, Committer
from job_service.stores.contract import KeyedRequest, Runner, Tick
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.live_store import LiveStore, Nobody, draft_like
from job_service.stores.outbox import Outbox, abandonments, withdraw
from job_service.stores.submissions import Submissions
from job_service.stores.unit_of_work import Pause, UnitOfWork
from job_service.telemetry.events import Event, QueuePaused, QueueResumed

T = TypeVar("T")


class DurableStore(LiveStore):
    """The base of stores whose jobs survive. Those that have not ended are in memory, too.

    What keeps the jobs is up to the store: it says how units of work are written, and how jobs are
    read that have ended. Meaning and errors of all other methods are those of `contract.Store`.
    """

    is_durable = True

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
    ) -> None:
        self._emit = emit
        self._outbox = Outbox(self._say, Nobody())
        super().__init__(
            self._outbox.emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=math.inf,  # in memory: what has ended leaves it when it is kept
            retain_bytes=math.inf,
        )
        self._live.runner = self._outbox
        self._outbox.find = self._jobs.get
        self._submissions = Submissions(self._admission, self._jobs, clock, self._read_some)
        self._ticks: dict[str, Tick] = {}
        self._kept_counts = KeptCounts()
        self._committer = Committer(self._keep, self._tell, self._refuse, emit, clock)
        self._token: trio.lowlevel.TrioToken | None = None  # of the loop, while it is opened
        self._read_whole = trio.Event()

    @abstractmethod
    async def _write(self, units: Sequence[UnitOfWork]) -> None:
        """Keep these units, all or none of them. Raises CannotKeep."""

    @abstractmethod
    def _write_at_once(self, units: Sequence[UnitOfWork]) -> None:
        """As `_write`, for a thread that is not the loop's, and within a second or so."""

    @abstractmethod
    async def _read(self, job_id: str) -> Job:
        """A job that has ended. Raises UnknownJob, or StoreUnavailable."""

    @abstractmethod
    async def _read_some(self, ids: Collection[str]) -> dict[str, Job]:
        """Those of these jobs that are kept, by id, as far as a summary shows them.

        Raises StoreUnavailable.
        """

    @property
    def finished(self) -> int:
        return self._kept_counts.finished

    @property
    def trouble(self) -> str | None:
        return self._committer.trouble

    def attach(self, runner: Runner) -> None:
        self._runner = self._outbox.runner = runner

    def apply(self, change: Change) -> None:
        if type(change) is Readiness:  # which need not be kept
            self._live.apply(change)
            return
        unit = self._outbox.begin()
        self._live.apply(change)
        if type(change) is CancelRequest:  # of which no event tells
            unit.jobs[change.job.id] = change.job
        self._committer.add(unit)

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        # What was in hand at a crash is still to be rescued, as long as not all is read.
        for job in self._live.unfinished() if self._read_whole.is_set() else ():
            if job.status == "processing":
                try:
                    self.apply(release(job, job.attempts[-1], reason_of(job), self.clock))
                except IllegalTransition:  # the loop turns again, and has moved the job on
                    continue
        if self._token is not None and not _is_running(self._token):
            self._keep_at_once()

    async def settled(self) -> None:
        await self._committer.settled()

    def abandon_unkept(self) -> None:
        self._abandon(self._committer.close())

    # What clients ask for.

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
    ) -> Sequence[JobSummary]:
        await self._require_open()
        await self._submissions.look_up_predecessors(drafts)
        async with self._unit() as unit:
            jobs = self._submissions.accept(unit, drafts, request)
            if schedule is not None:
                tick = self._ticks[schedule] = Tick(schedule, jobs[0].created_at, jobs[0].id)
                unit.beside.append(tick)
        return await self._submissions.as_they_are(jobs)

    async def run_again(self, job_id: str, request: KeyedRequest | None = None) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        async with self._unit() as unit:
            jobs = self._submissions.accept(unit, [draft_like(job)], request)
        return (await self._submissions.as_they_are(jobs))[0]

    async def cancel(self, job_id: str, reason: str) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status in TERMINAL:
            await self._committer.kept()
            raise AlreadyFinished(summarize(job))
        self._call_off(job, reason)
        return await self._when_kept(self._detail(job))

    async def cancel_all(self, job_type: str, status: Status | None, reason: str) -> Cancellations:
        await self._require_open()
        return await self._when_kept(await self._call_off_all(job_type, status, reason))

    async def pause(self, job_type: str | None) -> QueueView:
        await self._require_open()
        async with self._unit() as unit:
            if self._runner.pause(job_type):
                unit.beside.append(Pause(job_type, paused=True))
                self._outbox.emit(
                    QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET)
                )
        return self._view()

    async def resume(self, job_type: str | None) -> QueueView:
        await self._require_open()
        async with self._unit() as unit:
            if self._runner.resume(job_type):
                unit.beside.append(Pause(job_type, paused=False))
                self._outbox.emit(
                    QueueResumed(timestamp=self.clock.now(), job_type=job_type or UNSET)
                )
        return self._view()

    async def get(self, job_id: str) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return detail_of(await self._read(job_id))
        return await self._when_kept(self._detail(job))

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return detail_of(await self._read(job_id))
        with trio.move_on_after(seconds):
            await self._live.ending_of(job).wait()
        return await self._when_kept(self._detail(job))

    async def view(self) -> QueueView:
        await self._require_open()
        return await self._when_kept(self._view())

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await self._require_open()
        await trio.lowlevel.checkpoint()
        return self._kept_counts.all()

    def last_ticks(self) -> Mapping[str, Tick]:
        return self._ticks

    # How units are kept and told.

    def _say(self, event: Event) -> None:
        self._kept_counts.observe(event)
        self._emit(event)

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[UnitOfWork]:
        """What the block does is one unit. It is kept and told when the block has been left."""
        self._committer.require_no_trouble()  # which may have begun since the call did
        unit = self._outbox.begin()
        try:
            yield unit
        except BaseException:
            self._committer.add(unit)  # which has no more than events of what was turned away
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        self._committer.add(unit)
        await self._committer.kept()

    async def _keep(self, units: Sequence[UnitOfWork]) -> None:
        await self._write(units)
        self._runner.hold(None)

    def _tell(self, unit: UnitOfWork) -> None:
        for told in unit.told:
            if isinstance(told, tuple):
                told[0](*told[1:])
            else:
                self._say(told)
        for job in unit.ended:
            self._live.index.drop(job)
            self._submissions.keyed.discard(job.id)

    def _refuse(self, units: deque[UnitOfWork]) -> None:
        self._runner.hold("the store can't keep anything now")
        self._submissions.forget(withdraw(units, self._live))

    def _keep_at_once(self) -> None:
        """From another thread, while the loop is blocked."""
        units = self._committer.take_over()
        try:
            self._write_at_once(units)
        except CannotKeep:
            self._abandon(units)
            return
        for unit in units:
            for told in unit.told:
                if not isinstance(told, tuple):  # the runner has nothing to run any more
                    self._say(told)

    def _abandon(self, units: Iterable[UnitOfWork]) -> None:
        reason = "store_closed" if self.trouble is None else "store_failing"
        for event in abandonments(units, reason, self.clock.now()):
            self._say(event)

    async def _require_open(self) -> None:
        """Raise StoreUnavailable if nothing can be kept now."""
        try:
            if not self._read_whole.is_set():
                raise StoreUnavailable("the store is still being read")
            self._committer.require_no_trouble()
        except StoreUnavailable:
            await trio.lowlevel.checkpoint()
            raise
        await trio.lowlevel.checkpoint_if_cancelled()

    async def _when_kept(self, answer: T) -> T:
        await self._committer.kept()
        return answer


def _is_running(token: trio.lowlevel.TrioToken) -> bool:
    """Whether this is the thread of the loop that this token is of."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
