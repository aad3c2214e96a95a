"""The one way in: what routes and embedding programs may ask of the jobs."""

import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Unpack

import trio
from msgspec import UNSET

from job_service.errors import AlreadyFinished, NotFinished, UnknownJob
from job_service.jobs.queueing.admission import Admission
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    TypeView,
    detail_of,
    summarize,
)
from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Draft, Job, Status
from job_service.jobs.state.transitions import JobStore

GIVE_WAY_SECONDS = 0.002
_CANCELLED_IN_ONE_GO = 100


class JobQueue:
    """Submits, reads, cancels and repeats jobs.

    Each method has a checkpoint before it does anything, so a caller who is cancelled has done
    nothing, and one who calls it over and over lets the workers run (in `submit` after two
    milliseconds at the latest, and whenever the queue is full). Only `cancel`, `cancel_all` and
    `retry` have theirs behind them, when they can't be cancelled any more: nothing comes between
    them and what a caller has just read.

    Who can't know whether a submission arrived may repeat it with the same `idempotency_key`, 1 to
    255 visible ASCII characters of its own choice: for a day, what is asked with a known key
    makes no new job, but gives the one of the first time, `replayed`, even during a drain. Asking
    for something else with it raises IdempotencyKeyReused; what was refused is not remembered.
    """

    def __init__(self, registry: Registry, store: JobStore, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._admission = Admission(registry, store, dispatcher)
        self._turn_is_due = -math.inf

    async def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """Accept a job, to be run by a worker as soon as one is free, or as `options` say.

        `payload` is anything msgspec can write as JSON, or JSON text as a `msgspec.Raw`; left out,
        it is the default of the handler's parameter, or null where that has none. Where another
        job holds its `unique_key`, that one is given, `duplicate`, and no job is made.

        Raises UnknownJobType, InvalidPayload, ValueError (an option or the key out of range),
        UnknownPredecessor, IdempotencyKeyReused, QueueFull or QueueClosed, and then nothing has
        changed.
        """
        # A turn of the loop costs as much as a short job, so not each submission waits for one. But
        # each that would be refused waits until all who could make room have had theirs.
        if self._store.room > 0 and time.monotonic() < self._turn_is_due:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
            if self._store.room < 1:  # they may be behind us in this turn
                await trio.lowlevel.checkpoint()
            self._turn_is_due = time.monotonic() + GIVE_WAY_SECONDS
        draft = self.check(job_type, payload, **options)
        if idempotency_key is None:
            return self._admission.accept(draft)
        return self._admission.once(
            idempotency_key, ("submit", draft), lambda: [self._admission.accept(draft)]
        )[0]

    async def submit_all(
        self, drafts: Iterable[Draft], *, idempotency_key: str | None = None
    ) -> Sequence[JobSummary]:
        """Accept many jobs, in their order, or none: each as `check` gave it.

        Raises ValueError (the key out of range), UnknownPredecessor, IdempotencyKeyReused,
        QueueFull, where not all of them fit (BatchTooLarge, where they never will), or QueueClosed,
        and then nothing has changed.
        """
        await trio.lowlevel.checkpoint()
        wanted = list(drafts)
        if idempotency_key is None:
            return self._admission.accept_all(wanted)
        return self._admission.once(
            idempotency_key, ("submit_all", wanted), lambda: self._admission.accept_all(wanted)
        )

    def check(self, job_type: str, payload: object = UNSET, **options: Unpack[JobOptions]) -> Draft:
        """What `submit` would accept, for `submit_all`; nothing has changed.

        Raises UnknownJobType, InvalidPayload or ValueError (an option out of range).
        """
        return self._admission.check(job_type, payload, **options)

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Run a job that has ended again, at once, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, ValueError (the key out of range), IdempotencyKeyReused,
        QueueFull or QueueClosed, and then nothing has changed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            if idempotency_key is None:
                return self._run_again(job_id)
            return self._admission.once(
                idempotency_key, ("retry", job_id), lambda: [self._run_again(job_id)]
            )[0]
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def get(self, job_id: str) -> JobDetail:
        """The whole story of a job. Raises UnknownJob."""
        await trio.lowlevel.checkpoint()
        return self._detail(self._find(job_id))

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        """The story of a job as soon as it has ended, or as it is after so many seconds.

        Raises UnknownJob. It may be cancelled.
        """
        await trio.lowlevel.checkpoint()
        job = self._find(job_id)
        with trio.move_on_after(seconds):
            await self._store.end_of(job).wait()
        return self._detail(job)

    async def list(
        self,
        *,
        status: Status | None = None,
        job_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[JobSummary]:
        """Up to `limit` jobs of this status and type, in order, from behind the job `after`.

        The oldest come first, or the newest; what is behind a job turns with it.
        """
        await trio.lowlevel.checkpoint()
        jobs = self._store.jobs.page(
            status=status,
            job_type=job_type,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )
        return [summarize(job) for job in jobs]

    async def cancel(self, job_id: str, reason: str = "requested") -> JobDetail:
        """Call a job off: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, or AlreadyFinished where it has ended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            job = self._find(job_id)
            if job.status in TERMINAL:
                raise AlreadyFinished(summarize(job))
            self._cancel(job, reason)
            return self._detail(job)
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def cancel_all(
        self, job_type: str, *, status: Status | None = None, reason: str = "requested"
    ) -> Cancellations:
        """Call off all jobs of this type, or those of them that are pending or processing.

        Those that come in meanwhile are spared. Raises UnknownJobType. Other tasks run between
        portions of them; a caller who is cancelled has done a part.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._registry.lookup(job_type)
        cancelled = interrupted = 0
        # Those that wait first, and the newest of them first: none is to start because another was
        # interrupted, nor to fail because the one that it comes after was cancelled.
        for number, job in enumerate(reversed(self._unfinished(job_type)), 1):
            if job.status == "pending" and status != "processing":
                cancelled += 1
                self._cancel(job, reason)
            elif job.status == "processing" and status != "pending" and job.cancel_reason is None:
                interrupted += 1
                self._cancel(job, reason)
            if number % _CANCELLED_IN_ONE_GO == 0:
                await trio.lowlevel.checkpoint()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return Cancellations(cancelled=cancelled, interrupted=interrupted)

    async def pause(self, job_type: str | None = None) -> QueueView:
        """Start no more jobs, or none of this type, until `resume`; those that run go on.

        A pause of the queue and those of types are independent. Raises UnknownJobType.
        """
        await trio.lowlevel.checkpoint()
        if job_type is not None:
            self._registry.lookup(job_type)
        self._dispatcher.pause(job_type)
        return self._dispatcher.view()

    async def resume(self, job_type: str | None = None) -> QueueView:
        """Take back a pause of the same kind, if there is one. Raises UnknownJobType."""
        await trio.lowlevel.checkpoint()
        if job_type is not None:
            self._registry.lookup(job_type)
        self._dispatcher.resume(job_type)
        return self._dispatcher.view()

    async def view(self) -> QueueView:
        """How many jobs wait, and for what."""
        await trio.lowlevel.checkpoint()
        return self._dispatcher.view()

    async def types(self) -> Sequence[TypeView]:
        """All job types, and how many of their jobs are in which state."""
        await trio.lowlevel.checkpoint()
        counts = self._store.jobs.count()
        paused = self._dispatcher.view().paused_types
        views = []
        for name in self._registry.names:
            job_type = self._registry.lookup(name)
            views.append(
                TypeView(
                    type=name,
                    runs_in=job_type.runs_in,
                    max_retries=job_type.retry.max_retries,
                    timeout_seconds=job_type.timeout,
                    concurrency=job_type.concurrency,
                    paused=name in paused,
                    **counts.get(name, dict.fromkeys(TRANSITIONS, 0)),
                )
            )
        return views

    def _detail(self, job: Job) -> JobDetail:
        waits = job.status == "pending"
        return detail_of(job, self._dispatcher.why_it_waits(job) if waits else None)

    def _find(self, job_id: str) -> Job:
        job = self._store.jobs.get(job_id)
        if job is None:
            raise UnknownJob(f"there is no job {job_id}, or it is no longer kept")
        return job

    def _unfinished(self, job_type: str) -> Sequence[Job]:
        """The jobs of this type that run, and then those that wait, each the oldest first."""
        most = self._store.pending + self._store.processing
        page = partial(self._store.jobs.page, job_type=job_type, after=None, limit=most)
        return [*page(status="processing"), *page(status="pending")]

    def _run_again(self, job_id: str) -> JobSummary:
        job = self._find(job_id)
        if job.status not in TERMINAL:
            raise NotFinished(summarize(job))
        return self._admission.accept(
            Draft(
                job.type,
                job.payload,
                job.max_retries,
                job.priority,
                unique_key=job.unique_key,
                retry_of=job.id,
            )
        )

    def _cancel(self, job: Job, reason: str) -> None:
        if job.status == "pending":
            self._store.cancel(job, reason)
            self._dispatcher.discard(job)
        else:
            self._store.request_cancel(job, reason)
