"""What stores do that one process has for itself: all that is decided is decided in its memory."""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

import trio
from msgspec import UNSET

from job_service.errors import JobServiceError, NotFinished
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail, JobSummary, detail_of, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Draft, Edit, Job, Status
from job_service.jobs.state.schedule_state import ScheduleChange, ScheduleState
from job_service.jobs.state.stand_in import require_readable
from job_service.jobs.state.views import Cancellations, MadeReady, QueueView
from job_service.stores.contract import ALL, KeyedRequest, Portion
from job_service.stores.durable import DurableStore
from job_service.stores.durable_submissions import DurableSubmissions
from job_service.stores.group_store import KeptGroup
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.live_store import draft_like
from job_service.stores.outbox import withdraw
from job_service.stores.unit_of_work import Pause, ScheduleRun, UnitOfWork
from job_service.telemetry.events import Event, QueuePaused, QueueResumed


class SoleStore(DurableStore):
    """The base of durable stores that hold all jobs which have not ended in memory.

    Jobs that have ended are read from what keeps them. Meaning and errors of all methods are those
    of `contract.Store`.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
    ) -> None:
        super().__init__(emit, clock, capacity=capacity, capacity_bytes=capacity_bytes)
        self._submissions = DurableSubmissions(self._admission, self._jobs, clock, self._read_some)
        self._kept_counts = KeptCounts()

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

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        await self._require_open()
        await self._submissions.look_up_predecessors(drafts)

        def act(unit: UnitOfWork) -> Sequence[JobSummary]:
            accept = partial(self._submissions.accept, unit, drafts, request, group)
            if schedule is None:
                return accept()
            before = self._state_of(schedule)
            jobs = self._run_schedule(schedule, drafts[0], accept, ticks=not_since is not None)
            unit.beside.append(ScheduleRun(before, self._state_of(schedule)))
            return jobs

        return await self._submissions.as_they_are(await self._as_unit(act))

    async def run_again(
        self, job_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        require_readable(job)
        drafts = [draft_like(job, by)]
        jobs = await self._as_unit(lambda unit: self._submissions.accept(unit, drafts, request))
        return (await self._submissions.as_they_are(jobs))[0]

    async def cancel(
        self,
        job_id: str,
        reason: str,
        by: str | None = None,
        expected: Collection[str] | None = None,
    ) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        try:
            self._cancel(job, reason, by, expected)
        except JobServiceError:
            await self._committer.kept()  # which the error may tell of
            raise
        return await self._when_kept(self._detail(job))

    async def edit(self, job_id: str, wanted: Edit) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        try:
            self._edit(job, wanted)
        except JobServiceError:
            await self._committer.kept()  # which the error may tell of
            raise
        return await self._when_kept(self._detail(job))

    async def cancel_all(
        self, wanted: JobFilter, reason: str, by: str | None = None, portion: Portion = ALL
    ) -> Cancellations:
        await self._require_open()
        return await self._when_kept(await self._call_off_all(wanted, reason, by, portion))

    async def run_now_all(
        self, wanted: JobFilter, by: str | None = None, portion: Portion = ALL
    ) -> MadeReady:
        await self._require_open()
        return await self._when_kept(await self._run_now_all(wanted, by, portion))

    async def _end_portion(self) -> None:
        await self._committer.kept()  # so that not too much waits in line

    async def pause(self, job_type: str | None, by: str | None = None) -> QueueView:
        def act(unit: UnitOfWork) -> None:
            if self._runner.pause(job_type):
                unit.beside.append(Pause(job_type, paused=True))
                self._outbox.emit(
                    QueuePaused(
                        timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
                    )
                )

        await self._require_open()
        await self._as_unit(act)
        return self._view()

    async def resume(self, job_type: str | None, by: str | None = None) -> QueueView:
        def act(unit: UnitOfWork) -> None:
            if self._runner.resume(job_type):
                unit.beside.append(Pause(job_type, paused=False))
                self._outbox.emit(
                    QueueResumed(
                        timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
                    )
                )

        await self._require_open()
        await self._as_unit(act)
        return self._view()

    async def _change_schedule(self, schedule: str, change: ScheduleChange) -> None:
        def act(unit: UnitOfWork) -> None:
            changed = change(self._state_of(schedule), self.clock.now())
            if changed is not None:
                state, event = changed
                self._note_schedule(state)
                unit.beside.append(state)
                self._outbox.emit(event)

        await self._require_open()
        await self._as_unit(act)

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
        await self._committer.kept()
        return self._view()

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await self._require_open()
        await trio.lowlevel.checkpoint()
        return self._kept_counts.all()

    async def view_and_counts(self) -> tuple[QueueView, Mapping[str, dict[Status, int]]]:
        return await self.view(), self._kept_counts.all()

    def _count_by_type(self) -> Mapping[str, Mapping[Status, int]]:
        # As far as it was told, so that it agrees with the metrics, which are told the same.
        return self._kept_counts.all()

    @abstractmethod
    async def _read_ended_group(self, group_id: str) -> KeptGroup:
        """A group that has ended. Raises UnknownGroup, or StoreUnavailable."""

    async def _read_group(self, group_id: str) -> KeptGroup:
        await self._require_open()
        live = self._live.groups.get(group_id)
        if live is None:
            return await self._read_ended_group(group_id)
        return await self._when_kept(KeptGroup(live.group, live.standing, live.processing))

    def _say(self, event: Event) -> None:
        self._kept_counts.observe(event)
        self._emit(event)

    def _let_go(self, job: Job) -> None:
        super()._let_go(job)
        self._submissions.keyed.discard(job.id)

    def _undo(self, units: deque[UnitOfWork]) -> None:
        undone = withdraw(units, self._live)
        self._submissions.forget(undone)
        for run in reversed(undone):
            if isinstance(run, ScheduleRun):
                self._forget_run(run, units)

    def _forget_run(self, run: ScheduleRun, units: Iterable[UnitOfWork]) -> None:
        """A job of a schedule is withdrawn, of which pauses that came after it know, too."""
        name = run.before.schedule
        self._note_schedule(self._state_of(name).with_jobs_of(run.before))
        for unit in units:
            unit.beside = [
                item.with_jobs_of(run.before)
                if isinstance(item, ScheduleState) and item.schedule == name
                else item
                for item in unit.beside
            ]
