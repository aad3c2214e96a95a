"""The facade for jobs, for routes and for programs that embed the service."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Unpack

import trio
from msgspec import UNSET, structs

from job_service.jobs.queueing.bulk import filter_of, retry_all
from job_service.jobs.queueing.filters import MAX_PAGE, JobFilters, check_page, job_filter
from job_service.jobs.queueing.group_queue import GroupQueue
from job_service.jobs.queueing.keyed_requests import keyed_request
from job_service.jobs.queueing.options import (
    JobOptions,
    check_draft,
    check_edit,
    check_options,
)
from job_service.jobs.queueing.words import require_words
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    MadeReady,
    NodeView,
    QueueView,
    Retries,
    TypeView,
    with_types,
)
from job_service.jobs.state.job_filter import JobFilter, JobPage
from job_service.jobs.state.limits import NO_LIMITS
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    TERMINAL,
    TRANSITIONS,
    Draft,
    Edit,
    Status,
)
from job_service.stores.contract import Portion, Store


class JobQueue:
    """Submits, reads, cancels and repeats jobs.

    Each async method is a checkpoint, but for `submit` of one job. On the store in memory that is
    always a point of cancellation, and lets others run after two milliseconds at the latest, and
    whenever the job does not fit.

    A caller who is cancelled has done nothing, or in `cancel_all` perhaps a part. If jobs are kept
    in a file, one who is cancelled while that is written has done the whole. `cancel`, `retry` and
    `run_now` have their checkpoint at the end, and `cancel_all` begins its work without one. So
    nothing happens between what a caller has just read and the call.

    If you can't know whether a call of `submit`, `submit_all` or `retry` arrived, repeat it with
    the same `idempotency_key`, 1 to 255 visible ASCII characters of your choice. For a day, the
    same call with that key makes no new job: it returns the first one, `replayed`, even during a
    drain. Another call with it raises IdempotencyKeyReused. A call that raises is not remembered.

    Whoever changes something for somebody, as with `cancel` or `pause`, may give their
    name: `by`, a text of 1 to 255 characters. The event that tells of it has that name.
    Each of these calls raises InvalidOption if that is no name, or a `reason` no Unicode text.

    `groups` has the same for many jobs that are one thing; see `GroupQueue`.

    Raises StoreUnavailable, in each async method, while a store in a file can't keep anything.
    """

    def __init__(self, registry: Registry, store: Store) -> None:
        self.groups = GroupQueue(store)
        self._registry = registry
        self._store = store

    async def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """Accept a job. A worker runs it as soon as one is free, or as `options` say.

        `payload` is anything that msgspec or pydantic can write as JSON, or JSON text as a
        `msgspec.Raw`. If it is left out, it is the default of the handler's parameter, or null. If
        another job holds the `unique_key`, no job is made, and that job is returned as a
        `duplicate`. With `debounce_seconds`, it gets this payload and waits so long from now, if it
        has not begun.

        Raises UnknownJobType, InvalidPayload, InvalidOption, UnknownPredecessor, QueueFull,
        BatchTooLarge, QueueClosed, InvalidIdempotencyKey or IdempotencyKeyReused, and then nothing
        has changed.
        """
        try:
            draft = self.check(job_type, payload, **options)
        except BaseException:
            await trio.lowlevel.checkpoint()  # whoever tries over and over lets others run, too
            raise
        request = None
        if idempotency_key is not None:
            request = await keyed_request(idempotency_key, "submit", draft)
        return (await self._store.submit((draft,), request))[0]

    async def submit_all(
        self, drafts: Iterable[Draft], *, idempotency_key: str | None = None
    ) -> Sequence[JobSummary]:
        """Accept all drafts that `check` returned, in their order, or none of them.

        Of a draft that was made without `check`, only the options are checked here, and that all of
        it can be kept. Its job waits for as long as no handler has its type or takes its payload.

        Raises InvalidOption, UnknownPredecessor, QueueFull if not all of them fit, BatchTooLarge if
        they never will, QueueClosed, InvalidIdempotencyKey or IdempotencyKeyReused, and then
        nothing has changed.
        """
        wanted = list(drafts)
        try:
            now = self._store.clock.now()
            for draft in wanted:
                check_draft(draft, now)
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        request = None
        if idempotency_key is not None:
            request = await keyed_request(idempotency_key, "submit_all", wanted)
        return await self._store.submit(wanted, request)

    def check(self, job_type: str, payload: object = UNSET, **options: Unpack[JobOptions]) -> Draft:
        """Check a submission for `submit_all`, without a checkpoint; nothing has changed.

        Raises UnknownJobType, InvalidPayload or InvalidOption.
        """
        registered = self._registry.lookup(job_type)
        text = registered.absent_payload if payload is UNSET else encode_payload(payload)
        registered.check_payload(text)
        limit_key = None if registered.per is None else registered.limit_key(text)
        if not options:
            return Draft(job_type, text, registered.retry.max_retries, limit_key=limit_key)
        check_options(options, self._store.clock.now())
        max_retries, priority = options.get("max_retries"), options.get("priority")
        return Draft(
            job_type,
            text,
            registered.retry.max_retries if max_retries is None else max_retries,
            DEFAULT_PRIORITY if priority is None else priority,
            options.get("delay_seconds"),
            options.get("run_at"),
            options.get("unique_key"),
            tuple(dict.fromkeys(options.get("after") or ())),
            limit_key=limit_key,
            debounce_seconds=options.get("debounce_seconds"),
            tags=tuple(dict.fromkeys(options.get("tags") or ())),
        )

    async def retry(
        self, job_id: str, *, idempotency_key: str | None = None, by: str | None = None
    ) -> JobSummary:
        """Run a job again that has ended, at once, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, QueueFull, QueueClosed, InvalidIdempotencyKey or
        IdempotencyKeyReused, and then nothing has changed.
        """
        await require_words(by)
        request = None
        if idempotency_key is not None:
            # Whoever asks for a lone surrogate is to hear that there is no such job.
            asked = job_id.encode(errors="surrogatepass")
            request = await keyed_request(idempotency_key, "retry", asked)
        return await self._store.run_again(job_id, request, by)

    async def get(self, job_id: str) -> JobDetail:
        """All there is to know of a job. Raises UnknownJob."""
        return await self._store.get(job_id)

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        """What `get` returns as soon as the job has ended, or after `seconds` at the latest.

        Raises UnknownJob. Cancelling the wait does not cancel the job.
        """
        return await self._store.wait(job_id, seconds)

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """Up to `limit` jobs of which all `filters` are true, in the order of their creation.

        The oldest come first, or the newest. The list begins with the job that follows in this
        order on the one whose id is `after`. Fewer than `limit` are all. Each page of the store on
        the way is of another moment: a search that finds little in many jobs takes many of them.

        Raises InvalidOption.
        """
        page = await self.page(after=after, limit=limit, newest_first=newest_first, **filters)
        jobs = page.jobs
        while page.next is not None and len(jobs) < limit:
            page = await self.page(
                after=page.next, limit=limit - len(jobs), newest_first=newest_first, **filters
            )
            jobs += page.jobs
        return jobs

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As `list`, but as far as one moment goes, and with the id to go on after.

        So a page may have fewer jobs than `limit`, or none, and yet not be the last one. It never
        has more than 1,000.
        """
        try:
            wanted = job_filter(**filters)
            check_page(after, limit)
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        if limit < 1:
            await trio.lowlevel.checkpoint()
            return JobPage([], after)
        return await self._store.page(
            wanted, after=after, limit=min(limit, MAX_PAGE), newest_first=newest_first
        )

    async def run_now(self, job_id: str, *, by: str | None = None) -> JobDetail:
        """Let a job wait no longer for its time: one that is for later, was snoozed or is retried.

        One that is ready already stays as it is; pauses and limits hold it back as before. Raises
        UnknownJob, NotPending if it runs or has ended, or WaitsForJobs.
        """
        await require_words(by)
        return await self._store.edit(job_id, Edit(run_now=True, by=by))

    async def edit(
        self,
        job_id: str,
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        payload: object = UNSET,
        by: str | None = None,
    ) -> JobDetail:
        """Give a job that waits another time, priority or payload; what is left out stays.

        A ready job with another time or priority goes behind all others of its priority. The
        payload is checked as that of a submission is.

        Raises UnknownJob, NotPending if it runs or has ended, UnknownJobType, InvalidPayload,
        InvalidOption, or QueueFull if there is no room for a longer payload; and then nothing has
        changed.
        """
        try:
            check_edit(run_at, priority, payload, self._store.clock.now())
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        await require_words(by)
        wanted = Edit(run_at, priority, by=by)
        if payload is not UNSET:
            registered = self._registry.lookup((await self._store.get(job_id)).type)
            text = encode_payload(payload)
            registered.check_payload(text)
            key = None if registered.per is None else registered.limit_key(text)
            wanted = structs.replace(wanted, payload=text, limit_key=key)
        return await self._store.edit(job_id, wanted)

    async def with_excerpts(self, jobs: Sequence[JobSummary]) -> Sequence[JobSummary]:
        """The same, each with how its payload begins and why it waits; but for those forgotten."""
        excerpts = await self._store.excerpts([job.id for job in jobs])
        return [
            structs.replace(
                job,
                payload_excerpt=excerpts[job.id].payload,
                waits_because=excerpts[job.id].waits_because,
            )
            for job in jobs
            if job.id in excerpts
        ]

    async def cancel(
        self, job_id: str, reason: str = "requested", *, by: str | None = None
    ) -> JobDetail:
        """Cancel a job: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, or AlreadyFinished if it has ended.
        """
        await require_words(by, reason)
        return await self._store.cancel(job_id, reason, by)

    async def cancel_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        reason: str = "requested",
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> Cancellations:
        """Cancel all jobs of this type, or of which all `filters` are true, that have not ended.

        The newest come first, and jobs that are submitted meanwhile are not cancelled. Other tasks
        run in between; a caller who is cancelled has done a part of it, and may do it again. With a
        `limit` it is done for so many jobs, and goes on `after` the `next` of its answer.

        Raises UnknownJobType, or InvalidOption, as if nothing says which jobs are meant.
        """
        await require_words(by, reason)
        wanted = await _meant(self._registry, job_type, filters, "pending", "processing")
        return await self._store.cancel_all(wanted, reason, by, Portion(after, limit))

    async def run_now_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> MadeReady:
        """Let all pending jobs that are meant wait no longer for their time, as `run_now` does.

        Those that are ready, or wait for other jobs, are passed over. All else is as with
        `cancel_all`.
        """
        await require_words(by)
        wanted = await _meant(self._registry, job_type, filters, "pending")
        return await self._store.run_now_all(wanted, by, Portion(after, limit))

    async def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> Retries:
        """Run all jobs again that are meant, as `retry` does; if no status is said, failed ones.

        It stops if the queue is full. A job is run again once: if the same is asked for again
        within a day, with the same `idempotency_key` or without one both times, it is passed over.
        All else is as with `cancel_all`.

        Raises QueueClosed, and InvalidIdempotencyKey, too.
        """
        await require_words(by)
        ended = await _meant(self._registry, job_type, filters, *sorted(TERMINAL))
        if not filters.get("status"):
            ended = structs.replace(ended, statuses=("failed",))
        if idempotency_key is not None:
            await keyed_request(idempotency_key)
        return await retry_all(self._store, ended, idempotency_key, by, Portion(after, limit))

    async def pause(self, job_type: str | None = None, *, by: str | None = None) -> QueueView:
        """Start no more jobs, or none of this type, until `resume`. Running jobs go on.

        The pause of the queue and the pauses of types are independent. Raises UnknownJobType.
        """
        await require_words(by)
        await _require(self._registry, job_type)
        return with_types(await self._store.pause(job_type, by), self._registry.names)

    async def resume(self, job_type: str | None = None, *, by: str | None = None) -> QueueView:
        """End the pause of the queue, or of this type, if there is one. Raises UnknownJobType."""
        await require_words(by)
        await _require(self._registry, job_type)
        return with_types(await self._store.resume(job_type, by), self._registry.names)

    async def view(self) -> QueueView:
        """How many jobs wait, and for what, at the moment at which the call returns."""
        return with_types(await self._store.view(), self._registry.names)

    async def back_up(self, destination: str | Path, *, by: str | None = None) -> int:
        """Copy all that the store keeps to a new file, and give its size in bytes.

        Jobs go on meanwhile. Raises BackupRefused, as if jobs are in memory, or StoreUnavailable.
        """
        await require_words(by)
        return await self._store.back_up(Path(destination), by)

    async def nodes(self) -> Sequence[NodeView]:
        """The processes that share the store, the oldest first; none if it can't be shared."""
        return await self._store.nodes()

    async def types(self) -> Sequence[TypeView]:
        """All job types, and how many of their jobs are in which status."""
        return (await self.overview())[1]

    async def overview(self) -> tuple[QueueView, Sequence[TypeView]]:
        """`view` and `types` of one moment, at which the call returns, so that they agree."""
        view, counts = await self._store.view_and_counts()
        paused, views = view.paused_types, []
        for name in self._registry.names:
            job_type = self._registry.lookup(name)
            views.append(
                TypeView(
                    type=name,
                    runs_in=job_type.runs_in,
                    max_retries=job_type.retry.max_retries,
                    timeout_seconds=job_type.timeout,
                    concurrency=job_type.limits.concurrency,
                    rate_starts=job_type.limits.starts,
                    rate_seconds=job_type.limits.per_seconds if job_type.limits.starts else None,
                    per_key=job_type.limits.is_per_key,
                    sensitive=job_type.sensitive,
                    is_limited=job_type.limits != NO_LIMITS,
                    paused=name in paused,
                    **counts.get(name, dict.fromkeys(TRANSITIONS, 0)),
                )
            )
        return with_types(view, self._registry.names), views


async def _meant(
    registry: Registry, job_type: str | None, filters: JobFilters, *statuses: Status
) -> JobFilter:
    """The jobs that these say, if they have one of these statuses. Raises as `cancel_all`."""
    if job_type is not None:
        filters = {**filters, "job_type": job_type}
    try:
        wanted = filter_of(filters, statuses)
        for name in wanted.types:
            registry.lookup(name)
    except BaseException:
        await trio.lowlevel.checkpoint()
        raise
    return wanted


async def _require(registry: Registry, job_type: str | None) -> None:
    """Raise UnknownJobType if there is no such job type."""
    try:
        if job_type is not None:
            registry.lookup(job_type)
    except BaseException:
        await trio.lowlevel.checkpoint()
        raise
