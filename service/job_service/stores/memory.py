"""The store in memory: what it is told is done at once, and is gone with the process."""

import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import trio
from msgspec import UNSET

from job_service.errors import BackupRefused, NotFinished, UnknownGroup, UnknownJob
from job_service.jobs.state.attempt_transitions import cut_short
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail, JobSummary, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.job_filter import JobFilter, JobPage, page_of
from job_service.jobs.state.model import TERMINAL, Draft, Edit, IllegalTransition, Job, Status
from job_service.jobs.state.schedule_state import ScheduleChange
from job_service.jobs.state.transitions import abandon
from job_service.jobs.state.views import Cancellations, MadeReady, QueueView
from job_service.jobs.state.weight import (
    DEFAULT_QUEUE_BYTES,
    DEFAULT_RETAIN_BYTES,
    submitted_bytes,
)
from job_service.stores.contract import ALL, Excerpt, KeyedRequest, Portion
from job_service.stores.group_store import GroupStore, KeptGroup
from job_service.stores.live_store import LOOKS, draft_like, no_such_group, no_such_job
from job_service.stores.runner import Runner
from job_service.telemetry.events import Event, QueuePaused, QueueResumed

# Long enough for about a hundred submissions, so that a turn of the loop costs each of them next to
# nothing, and short enough that nobody notices who had to wait for the turn.
GIVE_WAY_SECONDS = 0.002
LOOKS_AT_ERRORS: Final = 500  # each of which may take ten times as long


class MemoryStore(GroupStore):
    """Keeps up to `capacity` pending jobs and `retain` finished ones, within bounds in bytes.

    Finished jobs are forgotten when they are too many or too heavy, the oldest first. Meaning and
    errors of all methods are those of `job_service.stores.contract.Store`.
    """

    name = "memory"
    is_durable = False
    trouble = None

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        *,
        capacity: int,
        retain: int,
        capacity_bytes: int = DEFAULT_QUEUE_BYTES,
        retain_bytes: int = DEFAULT_RETAIN_BYTES,
    ) -> None:
        super().__init__(
            emit,
            clock or Clock(),
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self._emit = emit
        self._turn_is_due = -math.inf

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        yield

    def apply(self, change: Change) -> None:
        self._live.apply(change)

    def attach(self, runner: Runner) -> None:
        self._runner = self._live.runner = runner

    async def recover(self) -> None:
        await trio.lowlevel.checkpoint()

    def abandon_unkept(self) -> None:
        pass

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        for job in self._live.unfinished():
            reason = reason_of(job)
            try:
                self._abandon(job, reason)
            except IllegalTransition:
                # In another thread than the loop's, which turns again and has moved the job on.
                if job.status not in TERMINAL:
                    self._abandon(job, reason)

    async def settled(self) -> None:
        await trio.lowlevel.checkpoint()

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        # A turn of the loop costs more than a short job, because it wakes a worker and the log's
        # writer for that job alone. So not each submission waits for one. But each that would be
        # refused waits until all who could make room have had theirs.
        is_single, capacity = len(drafts) == 1, self._live.capacity
        size = len(drafts[0].payload) if is_single else sum(map(submitted_bytes, drafts))
        if is_single and capacity.fits(1, size) and time.monotonic() < self._turn_is_due:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
            if not capacity.fits(len(drafts), size):  # they may be behind us in this turn
                await trio.lowlevel.checkpoint()
            self._turn_is_due = time.monotonic() + GIVE_WAY_SECONDS
        if schedule is None:
            return self._accept(drafts, request, group)
        accept = partial(self._accept, drafts, request, group)
        return self._run_schedule(schedule, drafts[0], accept, ticks=not_since is not None)

    async def run_again(
        self, job_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> JobSummary:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            if request is None:
                return self._run_again(job_id, by)
            return self._admission.once(request, lambda: [self._run_again(job_id, by)])[0]
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def cancel(
        self,
        job_id: str,
        reason: str,
        by: str | None = None,
        expected: Collection[str] | None = None,
    ) -> JobDetail:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            job = self._find(job_id)
            self._cancel(job, reason, by, expected)
            return self._detail(job)
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def edit(self, job_id: str, wanted: Edit) -> JobDetail:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            job = self._find(job_id)
            self._edit(job, wanted)
            return self._detail(job)
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def cancel_all(
        self, wanted: JobFilter, reason: str, by: str | None = None, portion: Portion = ALL
    ) -> Cancellations:
        await trio.lowlevel.checkpoint_if_cancelled()
        cancellations = await self._call_off_all(wanted, reason, by, portion)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return cancellations

    async def run_now_all(
        self, wanted: JobFilter, by: str | None = None, portion: Portion = ALL
    ) -> MadeReady:
        await trio.lowlevel.checkpoint_if_cancelled()
        made_ready = await self._run_now_all(wanted, by, portion)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return made_ready

    async def pause(self, job_type: str | None, by: str | None = None) -> QueueView:
        await trio.lowlevel.checkpoint()
        if self._runner.pause(job_type):
            self._emit(
                QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET)
            )
        return self._view()

    async def resume(self, job_type: str | None, by: str | None = None) -> QueueView:
        await trio.lowlevel.checkpoint()
        if self._runner.resume(job_type):
            self._emit(
                QueueResumed(timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET)
            )
        return self._view()

    async def _change_schedule(self, schedule: str, change: ScheduleChange) -> None:
        await trio.lowlevel.checkpoint()
        changed = change(self._state_of(schedule), self.clock.now())
        if changed is not None:
            state, event = changed
            self._note_schedule(state)
            self._emit(event)

    async def get(self, job_id: str) -> JobDetail:
        await trio.lowlevel.checkpoint()
        return self._detail(self._find(job_id))

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        try:
            job = self._find(job_id)  # before it is forgotten, because its submitter waits
        except UnknownJob:
            await trio.lowlevel.checkpoint()
            raise
        with trio.move_on_after(seconds):
            await self._live.ending_of(job).wait()
        return self._detail(job)

    async def page(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> JobPage:
        await trio.lowlevel.checkpoint()
        looks = LOOKS if wanted.error is None else LOOKS_AT_ERRORS
        found = self._jobs.page(
            wanted, after=after, limit=limit + 1, newest_first=newest_first, looks=looks
        )
        return page_of([summarize(job) for job in found.jobs], limit, found.edge)

    async def excerpts(self, ids: Sequence[str]) -> Mapping[str, Excerpt]:
        await trio.lowlevel.checkpoint()
        return await self._excerpts_of_live(ids)

    async def view(self) -> QueueView:
        await trio.lowlevel.checkpoint()
        return self._view()

    async def back_up(
        self,
        destination: Path,  # noqa: ARG002 (it is refused anywhere)
        by: str | None = None,  # noqa: ARG002
    ) -> int:
        await trio.lowlevel.checkpoint()
        raise BackupRefused("jobs are kept in memory here, so there is no file to copy")

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await trio.lowlevel.checkpoint()
        return self._jobs.count()

    async def view_and_counts(self) -> tuple[QueueView, Mapping[str, dict[Status, int]]]:
        await trio.lowlevel.checkpoint()
        return self._view(), self._jobs.count()

    async def _read_group(self, group_id: str) -> KeptGroup:
        await trio.lowlevel.checkpoint()
        live = self._live.groups.get(group_id)
        if live is None:
            raise UnknownGroup(no_such_group(group_id))
        return KeptGroup(live.group, live.standing, live.processing)

    async def _unsuccessful(self, group_id: str) -> Sequence[Job]:
        wanted = JobFilter(group=group_id, statuses=("failed", "cancelled"))
        jobs, edge = list[Job](), None
        while True:
            found = self._jobs.page(wanted, after=edge, limit=LOOKS, looks=LOOKS)
            jobs += found.jobs
            if (edge := found.edge) is None:
                return jobs
            await trio.lowlevel.checkpoint()

    def _accept(
        self, drafts: Sequence[Draft], request: KeyedRequest | None, group: Group | None
    ) -> Sequence[JobSummary]:
        admission = self._admission
        if len(drafts) == 1 and request is None and group is None:
            return (admission.accept(drafts[0]),)
        accept = partial(admission.accept_all, drafts)
        if group is not None:
            accept = partial(admission.accept_group, group, drafts)
        return accept() if request is None else admission.once(request, accept)

    def _find(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob(no_such_job(job_id))
        return job

    def _abandon(self, job: Job, reason: str) -> None:
        if job.status == "pending":
            self.apply(abandon(job, reason, self.clock))
        else:
            self.apply(cut_short(job, job.attempts[-1], "abandoned", reason, self.clock))

    def _run_again(self, job_id: str, by: str | None) -> JobSummary:
        job = self._find(job_id)
        if job.status not in TERMINAL:
            raise NotFinished(summarize(job))
        return self._admission.accept(draft_like(job, by))
