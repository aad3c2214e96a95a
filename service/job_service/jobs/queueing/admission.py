"""What comes in: checks submissions, and makes jobs of those that may."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn, Unpack

from msgspec import UNSET, structs

from job_service.errors import BatchTooLarge, QueueClosed, QueueFull, UnknownPredecessor
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.queueing.idempotency import IdempotencyKeys
from job_service.jobs.queueing.options import JobOptions, check_options
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.model import DEFAULT_PRIORITY, Draft, Ending, Job
from job_service.jobs.state.transitions import JobStore
from job_service.jobs.state.weight import submitted_bytes
from job_service.telemetry.events import RejectReason


class Admission:
    """Turns submissions into drafts, and drafts into jobs, or away. None of it has a checkpoint."""

    def __init__(self, registry: Registry, store: JobStore, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._keys = IdempotencyKeys(store.clock.monotonic)

    def check(self, job_type: str, payload: object, **options: Unpack[JobOptions]) -> Draft:
        """A submission that is in order by itself. Raises what `JobQueue.check` does."""
        registered = self._registry.lookup(job_type)
        text = registered.absent_payload if payload is UNSET else encode_payload(payload)
        registered.check_payload(text)
        if not options:
            return Draft(job_type, text, registered.retry.max_retries)
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
        )

    def accept(self, draft: Draft) -> JobSummary:
        """Make a job of it. Raises UnknownPredecessor, QueueFull or QueueClosed."""
        if draft.unique_key is not None:
            return self.accept_all([draft])[0]
        if not self._dispatcher.accepting or not self._store.fits(1, submitted_bytes(draft)):
            self._refuse([draft], wanted=1)
        return self._add(draft, self._predecessors(draft) if draft.after else ())

    def accept_all(self, drafts: Sequence[Draft]) -> Sequence[JobSummary]:
        """Make a job of each, or none at all. Raises as `accept` does."""
        keys = [(draft.type, draft.unique_key) for draft in drafts if draft.unique_key is not None]
        unheld = {key for key in keys if self._store.holder(*key) is None}
        wanted = len(drafts) - len(keys) + len(unheld)
        if wanted:
            wanted_bytes = sum(map(submitted_bytes, drafts))
            if not self._dispatcher.accepting or not self._store.fits(wanted, wanted_bytes):
                self._refuse(drafts, wanted)
        predecessors = [self._predecessors(draft) if draft.after else () for draft in drafts]
        return [self._add(*each) for each in zip(drafts, predecessors, strict=True)]

    def once(
        self, key: str, asked: object, accept: Callable[[], Sequence[JobSummary]]
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was asked with this idempotency key before.

        Raises InvalidIdempotencyKey, IdempotencyKeyReused, and what `accept` does.
        """
        known = self._keys.recall(key, asked)
        if known is None:
            jobs = accept()
            self._keys.remember(key, asked, jobs, [self._ending_of(job) for job in jobs])
            return jobs
        return [self._replay(job) for job in known]

    def _ending_of(self, summary: JobSummary) -> Ending:
        job = self._store.jobs.get(summary.id)
        return Ending() if job is None else self._store.ending_of(job)

    def _predecessors(self, draft: Draft) -> Sequence[Job]:
        jobs = []
        for job_id in draft.after:
            job = self._store.jobs.get(job_id)
            if job is None:
                raise UnknownPredecessor(f"there is no job {job_id[:100]} for it to come after")
            jobs.append(job)
        return jobs

    def _add(self, draft: Draft, predecessors: Sequence[Job]) -> JobSummary:
        if draft.unique_key is not None:
            holder = self._store.holder(draft.type, draft.unique_key)
            if holder is not None:
                self._store.deduplicate(holder, draft.unique_key)
                return structs.replace(summarize(holder), duplicate=True)
        job = self._store.create(draft)
        self._dispatcher.add(job, predecessors)
        return summarize(job)

    def _refuse(self, drafts: Sequence[Draft], wanted: int) -> NoReturn:
        if not self._dispatcher.accepting:
            self._reject(drafts, "draining")
            raise QueueClosed("the service is draining and takes no more jobs")
        self._reject(drafts, "full")
        store, taken, size = self._store, self._store.pending, sum(map(submitted_bytes, drafts))
        if wanted > store.capacity:
            raise BatchTooLarge(f"{wanted} jobs never fit: the queue has {store.capacity} places")
        if size > store.capacity_bytes:
            raise BatchTooLarge(
                f"{size} bytes never fit: the queue has room for {store.capacity_bytes}"
            )
        if store.room < 1:
            raise QueueFull(f"the queue is full: {taken} of {store.capacity} places taken")
        if store.room < wanted:
            raise QueueFull(f"{store.room} more jobs fit, not {wanted}; none was accepted")
        free = max(0, store.room_bytes)
        raise QueueFull(
            f"the queue is full: {free} of {store.capacity_bytes} bytes are free, not {size}"
        )

    def _reject(self, drafts: Sequence[Draft], reason: RejectReason) -> None:
        for job_type, jobs in Counter(draft.type for draft in drafts).items():
            self._store.reject(job_type, reason, jobs)

    def _replay(self, first: JobSummary) -> JobSummary:
        job = self._store.jobs.get(first.id)
        now = summarize(job) if job else first
        return structs.replace(now, replayed=True, duplicate=first.duplicate)
