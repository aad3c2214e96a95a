"""What stores do that keep jobs beyond the process: apply at once, and tell when it is kept."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import trio
from msgspec import UNSET, structs

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
from job_service.stores.commit import (
    Act,
    CannotKeep,
    Committer,
    Pause,
    Remembered,
)
from job_service.stores.contract import KeyedRequest, Runner, Tick
from job_service.stores.idempotency import REMEMBERED_SECONDS
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.live_store import LiveStore, Nobody, draft_like
from job_service.stores.outbox import Outbox, abandonments, withdraw
from job_service.telemetry.events import Event, QueuePaused, QueueResumed

T = TypeVar("T")


class DurableStore(LiveStore, ABC):
    """The base of stores whose jobs survive. Those that have not ended are in memory, too.

    What keeps the jobs is up to the store: it says how acts are written, and how jobs are read that
    have ended. Meaning and errors of all other methods are those of `contract.Store`.
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
        self._admission.find = self._find_predecessor
        self._looked_up: Mapping[str, Job | None] = {}
        self._keyed = set[str]()  # jobs that a request with a key has made, and that have not ended
        self._ticks: dict[str, Tick] = {}
        self._kept_counts = KeptCounts()
        self._committer = Committer(self._keep, self._tell, self._refuse, emit, clock)
        self._token: trio.lowlevel.TrioToken | None = None  # of the loop, while it is opened
        self._read_whole = trio.Event()

    @abstractmethod
    async def _write(self, acts: Sequence[Act]) -> None:
        """Keep these acts, all or none of them. Raises CannotKeep."""

    @abstractmethod
    def _write_at_once(self, acts: Sequence[Act]) -> None:
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
        act = self._outbox.begin()
        self._live.apply(change)
        if type(change) is CancelRequest:  # of which no event tells
            act.jobs[change.job.id] = change.job
        self._committer.add(act)

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
        await self._look_up_predecessors(drafts)
        async with self._act() as act:
            act.is_submission = True
            jobs = self._once(act, request, lambda: self._admission.accept_all(drafts))
            if schedule is not None:
                tick = self._ticks[schedule] = Tick(schedule, jobs[0].created_at, jobs[0].id)
                act.beside.append(tick)
        return await self._as_they_are(jobs)

    async def run_again(self, job_id: str, request: KeyedRequest | None = None) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        async with self._act() as act:
            act.is_submission, draft = True, draft_like(job)
            jobs = self._once(act, request, lambda: self._admission.accept_all([draft]))
        return (await self._as_they_are(jobs))[0]

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
        async with self._act() as act:
            if self._runner.pause(job_type):
                act.beside.append(Pause(job_type, paused=True))
                self._outbox.emit(
                    QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET)
                )
        return self._view()

    async def resume(self, job_type: str | None) -> QueueView:
        await self._require_open()
        async with self._act() as act:
            if self._runner.resume(job_type):
                act.beside.append(Pause(job_type, paused=False))
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

    # How acts are kept and told.

    def _say(self, event: Event) -> None:
        self._kept_counts.observe(event)
        self._emit(event)

    @asynccontextmanager
    async def _act(self) -> AsyncIterator[Act]:
        """What the block does is one act. It is kept and told when the block has been left."""
        self._committer.require_no_trouble()  # which may have begun since the call did
        act = self._outbox.begin()
        try:
            yield act
        except BaseException:
            self._committer.add(act)  # which has no more than events of what was turned away
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        self._committer.add(act)
        await self._committer.kept()

    async def _keep(self, acts: Sequence[Act]) -> None:
        await self._write(acts)
        self._runner.hold(None)

    def _tell(self, act: Act) -> None:
        for told in act.told:
            if isinstance(told, tuple):
                told[0](*told[1:])
            else:
                self._say(told)
        for job in act.ended:
            self._live.index.drop(job)
            self._keyed.discard(job.id)

    def _refuse(self, acts: deque[Act]) -> None:
        self._runner.hold("the store can't keep anything now")
        for undone in withdraw(acts, self._live):
            if isinstance(undone, Remembered):
                self._admission.forget(undone.request.key)

    def _keep_at_once(self) -> None:
        """From another thread, while the loop is blocked."""
        acts = self._committer.take_over()
        try:
            self._write_at_once(acts)
        except CannotKeep:
            self._abandon(acts)
            return
        for act in acts:
            for told in act.told:
                if not isinstance(told, tuple):  # the runner has nothing to run any more
                    self._say(told)

    def _abandon(self, acts: Iterable[Act]) -> None:
        reason = "store_closed" if self.trouble is None else "store_failing"
        for event in abandonments(acts, reason, self.clock.now()):
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

    # How submissions become jobs.

    def _once(
        self,
        act: Act,
        request: KeyedRequest | None,
        accept: Callable[[], Sequence[JobSummary]],
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was requested before."""
        if request is None:
            return accept()
        known = self._admission.recall(request)
        if known is None:
            known = accept()
            self._admission.remember(request, known)
            until = self.clock.now() + timedelta(seconds=REMEMBERED_SECONDS)
            act.beside.append(Remembered(request, known, until))
            self._keyed.update(job.id for job in known if job.finished_at is None)
        return known

    async def _as_they_are(self, jobs: Sequence[JobSummary]) -> Sequence[JobSummary]:
        """The jobs, of which those that were made before may have ended since."""
        ended = [job.id for job in jobs if job.replayed and job.id not in self._jobs]
        if not ended:
            return jobs
        kept = await self._read_some(ended)
        return [
            structs.replace(summarize(kept[job.id]), replayed=True, duplicate=job.duplicate)
            if job.id in kept
            else job
            for job in jobs
        ]

    async def _look_up_predecessors(self, drafts: Sequence[Draft]) -> None:
        """Read those jobs to come after that have ended; admission finds them after this."""
        looked_up = dict[str, Job | None]()
        wanted = {job_id for draft in drafts for job_id in draft.after}
        while missing := [
            each for each in wanted if each not in self._jobs and each not in looked_up
        ]:
            looked_up.update(dict.fromkeys(missing))
            looked_up.update(await self._read_some(missing))
        self._looked_up = looked_up

    def _find_predecessor(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id) or self._looked_up.get(job_id)

    def _with_progress(self, summary: JobSummary) -> JobSummary:
        job = self._jobs.get(summary.id)
        if job is None or job.meter is None or summary.status != "processing":
            return summary
        return structs.replace(summary, progress=job.meter.latest)


def _is_running(token: trio.lowlevel.TrioToken) -> bool:
    """Whether this is the thread of the loop that this token is of."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
