"""Decides which submissions become jobs: all of a call or none, without a checkpoint."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn

from msgspec import structs

from job_service.errors import BatchTooLarge, QueueClosed, QueueFull, UnknownPredecessor
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Draft, Ending, Job
from job_service.jobs.state.transitions import create
from job_service.jobs.state.weight import submitted_bytes
from job_service.stores.contract import KeyedRequest
from job_service.stores.idempotency import IdempotencyKeys
from job_service.telemetry.events import Event, JobDuplicate, JobRejected, RejectReason


class Admission:
    """Knows the bounds, the unique keys and the idempotency keys of the jobs in memory."""

    def __init__(self, live: LiveJobs, emit: Callable[[Event], None], clock: Clock) -> None:
        self._live = live
        self._jobs = live.index.jobs
        self._capacity = live.capacity
        self._emit = emit
        self._clock = clock
        self._keys = IdempotencyKeys(clock.monotonic)
        self.is_closed = False

    def once(
        self, request: KeyedRequest, accept: Callable[[], Sequence[JobSummary]]
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was requested before.

        Raises IdempotencyKeyReused, and what `accept` does.
        """
        known = self._keys.recall(request)
        if known is None:
            jobs = accept()
            self._keys.remember(request, jobs, [self._ending_of(job) for job in jobs])
            return jobs
        return [self._replay(job) for job in known]

    def accept(self, draft: Draft) -> JobSummary:
        """Make a job of it. Raises UnknownPredecessor, QueueFull or QueueClosed."""
        if draft.unique_key is not None:
            return self.accept_all([draft])[0]
        if self.is_closed or not self._capacity.fits(1, submitted_bytes(draft)):
            self._refuse([draft], wanted=1)
        return self._add(draft, self._predecessors(draft) if draft.after else ())

    def accept_all(self, drafts: Sequence[Draft]) -> Sequence[JobSummary]:
        """Make a job of each, or none at all. Raises as `accept` does."""
        keys = [(draft.type, draft.unique_key) for draft in drafts if draft.unique_key is not None]
        unheld = {key for key in keys if self._live.index.holder(*key) is None}
        wanted = len(drafts) - len(keys) + len(unheld)
        if wanted:
            wanted_bytes = sum(map(submitted_bytes, drafts))
            if self.is_closed or not self._capacity.fits(wanted, wanted_bytes):
                self._refuse(drafts, wanted)
        predecessors = [self._predecessors(draft) if draft.after else () for draft in drafts]
        return [self._add(*each) for each in zip(drafts, predecessors, strict=True)]

    def _ending_of(self, summary: JobSummary) -> Ending:
        job = self._jobs.get(summary.id)
        return Ending() if job is None else self._live.ending_of(job)

    def _predecessors(self, draft: Draft) -> Sequence[Job]:
        jobs = []
        for job_id in draft.after:
            job = self._jobs.get(job_id)
            if job is None:
                raise UnknownPredecessor(f"there is no job {job_id[:100]} for it to come after")
            jobs.append(job)
        return jobs

    def _add(self, draft: Draft, predecessors: Sequence[Job]) -> JobSummary:
        if draft.unique_key is not None:
            holder = self._live.index.holder(draft.type, draft.unique_key)
            if holder is not None:
                self._tell_of_duplicate(holder, draft.unique_key)
                return structs.replace(summarize(holder), duplicate=True)
        creation = create(draft, self._clock, predecessors)
        self._live.apply(creation)
        return summarize(creation.job)

    def _tell_of_duplicate(self, holder: Job, unique_key: str) -> None:
        self._emit(
            JobDuplicate(
                timestamp=self._clock.now(),
                job_id=holder.id,
                job_type=holder.type,
                unique_key=unique_key,
            )
        )

    def _refuse(self, drafts: Sequence[Draft], wanted: int) -> NoReturn:
        if self.is_closed:
            self._reject(drafts, "draining")
            raise QueueClosed("the service is draining and takes no more jobs")
        self._reject(drafts, "full")
        capacity, size = self._capacity, sum(map(submitted_bytes, drafts))
        if wanted > capacity.limit:
            raise BatchTooLarge(f"{wanted} jobs never fit: the queue has {capacity.limit} places")
        if size > capacity.limit_bytes:
            raise BatchTooLarge(
                f"{size} bytes never fit: the queue has room for {capacity.limit_bytes}"
            )
        if capacity.room < 1:
            taken = capacity.limit - capacity.room
            raise QueueFull(f"the queue is full: {taken} of {capacity.limit} places taken")
        if capacity.room < wanted:
            raise QueueFull(f"{capacity.room} more jobs fit, not {wanted}; none was accepted")
        free = max(0, capacity.room_bytes)
        raise QueueFull(
            f"the queue is full: {free} of {capacity.limit_bytes} bytes are free, not {size}"
        )

    def _reject(self, drafts: Sequence[Draft], reason: RejectReason) -> None:
        """Turn these away: they leave no trace but their count."""
        now = self._clock.now()
        for job_type, jobs in Counter(draft.type for draft in drafts).items():
            self._emit(JobRejected(timestamp=now, job_type=job_type, reason=reason, jobs=jobs))
            if reason == "full":
                self._capacity.rejected(jobs)

    def _replay(self, first: JobSummary) -> JobSummary:
        job = self._jobs.get(first.id)
        now = summarize(job) if job else first
        return structs.replace(now, replayed=True, duplicate=first.duplicate)
