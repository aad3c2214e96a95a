"""What a process tells of the jobs of a store that it shares, whoever holds them."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
import trio
from msgspec import structs

from job_service.errors import StoreUnavailable, UnknownJob
from job_service.jobs.state.dependencies import why_blocked
from job_service.jobs.state.detail import EXCERPT_CHARS, JobDetail, JobSummary, detail_of, summarize
from job_service.jobs.state.job_filter import JobFilter, JobPage, page_of
from job_service.jobs.state.limits import NO_LIMITS, whose
from job_service.jobs.state.model import TERMINAL, Job, Status
from job_service.jobs.state.stand_in import StandIn
from job_service.jobs.state.views import NodeView, QueueView, TypeQueue
from job_service.stores.contract import Excerpt
from job_service.stores.live_reads import oldest_of, seconds_to_empty
from job_service.stores.live_store import no_such_job
from job_service.stores.postgres.listing import Listing
from job_service.stores.postgres.pace import starts_per_second
from job_service.stores.postgres.participant import Participant, finished
from job_service.stores.postgres.reading import Found, Waiting
from job_service.stores.postgres.rows import is_storable, text_of_key
from job_service.stores.postgres.unreadable import why_not_read
from job_service.stores.postgres.usage import Usages


class _Pending(NamedTuple):
    """A job that waits and that this process does not hold, as far as that says why."""

    id: str
    type: str
    limit_key: str | None
    run_at: datetime
    node: object | None
    awaits: Sequence[str]
    why_not_read: str | None


class SharedReads(Participant):
    """The base of the store, as far as it changes nothing.

    Meaning and errors of its methods are those of `contract.Store`.
    """

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
                    _Pending(
                        each.id,
                        each.type,
                        each.limit_key,
                        each.run_at,
                        each.node,
                        each.awaits,
                        None if each.record is None else why_not_read(each.record, each.id),
                    )
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

    async def _found(self, listing: Listing) -> tuple[list[Job], str | None]:
        """What the listing reads. Raises StoreUnavailable."""
        return await self._question(self._read_in_time(listing))

    async def _read_in_time(self, listing: Listing) -> tuple[list[Job], str | None]:
        try:
            return await self._pages.do(listing.read)
        except psycopg.errors.QueryCanceled as error:  # which says nothing of the store itself
            raise StoreUnavailable("the database takes too long to find these jobs") from error

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
            _Pending(
                job.id,
                job.type,
                text_of_key(job),
                job.run_at,
                found.node,
                found.awaits,
                job.why if isinstance(job, StandIn) else None,
            )
        )
        return detail_of(job, waits)

    async def _why_it_waits(self, job: _Pending) -> str:
        if job.awaits:
            return why_blocked(job.awaits[0], len(job.awaits) - 1)
        if job.node is not None:
            return f"about to start on node {job.node}"
        if job.why_not_read is not None:
            return job.why_not_read
        if (seconds := (job.run_at - self.clock.now()).total_seconds()) > 0:
            return f"due in {math.ceil(seconds)} s"
        if self._paused & {"", job.type}:
            return f"{job.type} is paused" if job.type in self._paused else "the queue is paused"
        if not await self._question(self._reader.can_run(job.type)):
            return f"no process that is up has a handler for {job.type}"
        if (misfit := self._misfits.get(job.id)) is not None:
            return misfit.why
        if (limit := await self._limit_that_holds(job.type, job.limit_key)) is not None:
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
