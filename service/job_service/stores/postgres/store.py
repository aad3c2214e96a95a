"""The store in PostgreSQL: what it tells is kept there, and any number of processes share it."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import trio
from msgspec import UNSET, structs

from job_service.errors import (
    AlreadyFinished,
    BackupRefused,
    JobServiceError,
    NotFinished,
    NotPending,
    UnknownJob,
)
from job_service.jobs.state.dependencies import why_blocked
from job_service.jobs.state.detail import EXCERPT_CHARS, JobDetail, JobSummary, detail_of, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.job_filter import JobFilter, JobPage, page_of
from job_service.jobs.state.limits import NO_LIMITS, whose
from job_service.jobs.state.model import TERMINAL, Draft, Edit, Status
from job_service.jobs.state.schedule_state import ScheduleChange
from job_service.jobs.state.stand_in import StandIn, require_readable
from job_service.jobs.state.views import NodeView, QueueView, TypeQueue
from job_service.stores.contract import Excerpt, KeyedRequest
from job_service.stores.live_reads import oldest_of, seconds_to_empty
from job_service.stores.live_store import draft_like, no_such_job
from job_service.stores.postgres.awaited import EVERY_SECONDS
from job_service.stores.postgres.calling_off import CallOff
from job_service.stores.postgres.editing import EditElsewhere
from job_service.stores.postgres.group_keeper import GroupKeeper
from job_service.stores.postgres.listing import Listing
from job_service.stores.postgres.pace import starts_per_second
from job_service.stores.postgres.participant import finished
from job_service.stores.postgres.reading import Found, Waiting
from job_service.stores.postgres.rows import is_storable, text_of_key
from job_service.stores.postgres.schedules import ChangeSchedule
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.sweeper import Sweeper
from job_service.stores.postgres.unreadable import why_not_read
from job_service.stores.postgres.usage import Usages
from job_service.stores.unit_of_work import Pause
from job_service.telemetry.events import QueuePaused, QueueResumed

WORD_SECONDS: Final = 1.0  # that the process that holds a job has to call it off


class PostgresStore(GroupKeeper, Sweeper):
    """Keeps all jobs in a database: at most `retain` that have ended, for up to `retain_seconds`.

    A job in hand whose process dies `max_losses` times fails, if it was alone the last time.
    Meaning and errors of all methods are those of `job_service.stores.contract.Store`.
    """

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        await self._require_open()
        submission = Submission(drafts, request, schedule, not_since, group)
        await self._ask(submission)
        if submission.refusal is not None:
            raise submission.refusal
        if submission.state is not None:
            self._note_schedule(submission.state)
        return [self._with_progress(job) for job in submission.jobs]

    async def run_again(
        self, job_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or (await self._find(job_id)).job
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        require_readable(job)
        return (await self.submit([draft_like(job, by)], request))[0]

    async def cancel(self, job_id: str, reason: str, by: str | None = None) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return await self._cancel_elsewhere(job_id, reason, by)
        if job.status in TERMINAL:
            await self._committer.kept()
            raise AlreadyFinished(summarize(job))
        self._call_off(job, reason, by)
        return await self._when_kept(self._detail(job))

    async def edit(self, job_id: str, wanted: Edit) -> JobDetail:
        await self._require_open()
        if job_id in self._given:
            await self._committer.kept()
        job = self._jobs.get(job_id)
        if job is None:
            return await self._edit_elsewhere(job_id, wanted)
        try:
            self._edit(job, wanted)
        except JobServiceError:
            await self._committer.kept()  # which the error may tell of
            raise
        await self._committer.kept()
        return await self.get(job_id)

    async def pause(self, job_type: str | None, by: str | None = None) -> QueueView:
        await self._require_open()
        if self._runner.pause(job_type):
            self._paused = self._paused | {job_type or ""}
            event = QueuePaused(
                timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
            )
            await self._say_word(Pause(job_type, paused=True), event)
        return await self.view()

    async def resume(self, job_type: str | None, by: str | None = None) -> QueueView:
        await self._require_open()
        if self._runner.resume(job_type):
            self._paused = self._paused - {job_type or ""}
            event = QueueResumed(
                timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
            )
            await self._say_word(Pause(job_type, paused=False), event)
        return await self.view()

    async def _change_schedule(self, schedule: str, change: ScheduleChange) -> None:
        await self._require_open()
        ask = ChangeSchedule(schedule, change)
        await self._ask(ask)
        self._note_schedule(ask.state)

    async def get(self, job_id: str) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return await self._detail_elsewhere(await self._find(job_id))
        told = await self._when_kept(self._detail(job))
        if self._jobs.get(job_id) is job:
            return told
        try:  # it has ended, was given back, or was lost; then what it was here is not true
            return await self._detail_elsewhere(await self._find(job_id))
        except UnknownJob:  # it has ended, and is kept no more
            return told

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        found, here = await self.get(job_id), self._jobs.get(job_id)
        if found.status not in TERMINAL:
            with trio.move_on_after(seconds):
                await self._awaited.ended(job_id)
            try:
                return await self.get(job_id)
            except UnknownJob:  # it is kept no more
                if here is None:
                    raise
                return detail_of(here)
        return found

    async def page(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> JobPage:
        await self._require_open()
        await self._committer.kept()
        jobs, edge = await self._found(
            Listing(wanted, after=after, limit=limit + 1, newest_first=newest_first)
        )
        return page_of([self._with_progress(summarize(job)) for job in jobs], limit, edge)

    async def excerpts(self, ids: Sequence[str]) -> Mapping[str, Excerpt]:
        await self._require_open()
        storable = list(filter(is_storable, ids))
        found = await self._question(self._reader.excerpts(storable, EXCERPT_CHARS))
        elsewhere = dict[str, Excerpt]()
        for each in found:
            why = None
            if each.run_at is not None and each.id not in self._jobs:
                why = await self._why_it_waits(
                    *(each.id, each.type, each.limit_key, each.run_at, each.node, each.awaits),
                    None if each.record is None else why_not_read(each.record),
                )
            elsewhere[each.id] = Excerpt(each.payload, why)
        return elsewhere | await self._excerpts_of_live(ids)

    async def view(self) -> QueueView:
        return (await self.view_and_counts())[0]

    async def view_and_counts(self) -> tuple[QueueView, Mapping[str, dict[Status, int]]]:
        counts = await self.counts()
        return await self._view_with(counts), counts

    async def _view_with(self, counts: Mapping[str, Mapping[Status, int]]) -> QueueView:
        waiting = await self._question(self._reader.waiting(self.clock.now()))
        starts = await self._question(self._reader.do(starts_per_second))
        types = [
            self._view_of_waiting(
                name, of_type, waiting.get(name, Waiting()), starts.get(name, 0.0)
            )
            for name, of_type in sorted(counts.items())
            if of_type["pending"] > 0 or of_type["processing"] > 0
        ]
        return QueueView(
            paused="" in self._paused,
            paused_types=sorted(self._paused - {""}),
            capacity=self.capacity,
            pending=sum(each.pending for each in types),
            ready=sum(each.ready for each in types),
            later=sum(each.later for each in waiting.values()),
            blocked=sum(each.blocked for each in waiting.values()),
            unfit=len(self._misfits),
            processing=sum(each.processing for each in types),
            oldest_ready_seconds=oldest_of(types),
            store=self.name,
            finished=finished(counts),
            types=types,
        )

    def _view_of_waiting(
        self, name: str, counts: Mapping[Status, int], waiting: Waiting, starts_per_second: float
    ) -> TypeQueue:
        ready = max(0, counts["pending"] - waiting.blocked - waiting.later)
        oldest = None
        if ready and waiting.oldest_due is not None:
            oldest = max(0.0, (self.clock.now() - waiting.oldest_due).total_seconds())
        return TypeQueue(
            type=name,
            pending=counts["pending"],
            ready=ready,
            processing=counts["processing"],
            oldest_ready_seconds=oldest,
            seconds_to_empty=seconds_to_empty(ready, starts_per_second),
        )

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await self._require_open()
        await self._committer.kept()
        return await self._question(self._reader.counts())

    async def nodes(self) -> Sequence[NodeView]:
        await self._require_open()
        return await self._question(self._reader.nodes(self.node))

    async def back_up(
        self,
        destination: Path,  # noqa: ARG002 (it is refused anywhere)
        by: str | None = None,  # noqa: ARG002
    ) -> int:
        await trio.lowlevel.checkpoint()
        raise BackupRefused("jobs are kept in PostgreSQL here: use pg_dump")

    async def _cancel_elsewhere(self, job_id: str, reason: str, by: str | None) -> JobDetail:
        """Call off a job that this process does not hold."""
        found = await self._find(job_id)
        if found.job.status in TERMINAL:
            raise AlreadyFinished(summarize(found.job))
        call = CallOff([job_id], reason, by)
        await self._ask(call)
        if call.says_word and found.job.status == "pending":
            with trio.move_on_after(WORD_SECONDS):
                await self._awaited.ended(job_id)
        return await self.get(job_id)

    async def _edit_elsewhere(self, job_id: str, wanted: Edit) -> JobDetail:
        """Change a job that this process does not hold."""
        before = (await self._find(job_id)).job
        if before.status != "pending":
            raise NotPending(summarize(before))
        change = EditElsewhere([job_id], wanted)
        await self._ask_to_edit(change)
        with trio.move_on_after(WORD_SECONDS):
            while change.says_word and (asked := await self._question(self._reader.asked(job_id))):
                if asked.node is None:  # it was given back meanwhile
                    await self._ask_to_edit(change)
                else:
                    await trio.sleep(EVERY_SECONDS)
        job = await self.get(job_id)
        if job.status != "pending" and job.edits == before.edits and not wanted.run_now:
            raise NotPending(job)
        return job

    async def _ask_to_edit(self, change: EditElsewhere) -> None:
        await self._ask(change)
        if change.refusal is not None:
            raise change.refusal

    async def _find(self, job_id: str) -> Found:
        """A job as it is kept. Raises UnknownJob or StoreUnavailable."""
        found = await self._question(self._reader.job(job_id)) if is_storable(job_id) else None
        if found is None:
            await trio.lowlevel.checkpoint()
            raise UnknownJob(no_such_job(job_id))
        return found

    async def _detail_elsewhere(self, found: Found) -> JobDetail:
        """Of a job that this process does not hold."""
        job = found.job
        if job.status != "pending":
            return detail_of(job)
        waits = await self._why_it_waits(
            *(job.id, job.type, text_of_key(job), job.run_at, found.node, found.awaits),
            job.why if isinstance(job, StandIn) else None,
        )
        return detail_of(job, waits)

    async def _why_it_waits(
        self,
        job_id: str,
        job_type: str,
        limit_key: str | None,
        run_at: datetime,
        node: object | None,
        awaits: Sequence[str],
        why_not_read: str | None,
    ) -> str:
        """Of a pending job that this process does not hold."""
        if awaits:
            return why_blocked(awaits[0], len(awaits) - 1)
        if node is not None:
            return f"about to start on node {node}"
        if why_not_read is not None:
            return why_not_read
        if (seconds := (run_at - self.clock.now()).total_seconds()) > 0:
            return f"due in {math.ceil(seconds)} s"
        if self._paused & {"", job_type}:
            return f"{job_type} is paused" if job_type in self._paused else "the queue is paused"
        if not await self._question(self._reader.can_run(job_type)):
            return f"no process that is up has a handler for {job_type}"
        if (misfit := self._misfits.get(job_id)) is not None:
            return misfit.why
        if (limit := await self._limit_that_holds(job_type, limit_key)) is not None:
            return f"held back: {limit}"
        return "waits for a free worker"

    async def _limit_that_holds(self, job_type: str, limit_key: str | None) -> str | None:
        """The limit that keeps ready jobs of nobody from starting, if this process knows it."""
        limits = self._type_limits.get(job_type, NO_LIMITS)
        if limits == NO_LIMITS:
            return None
        now, key = self.clock.now(), limit_key if limits.is_per_key else None
        usages = Usages({job_type: limits}, await self._question(self._reader.usage(job_type, now)))
        return usages.of(job_type, key).why_held(limits, whose(job_type, key), now)

    def _with_progress(self, summary: JobSummary) -> JobSummary:
        job = self._jobs.get(summary.id)
        if job is None or job.meter is None or summary.status != "processing":
            return summary
        return structs.replace(summary, progress=job.meter.latest)
