"""The rules by which submissions become jobs: all of a call or none, without a checkpoint."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NoReturn

from msgspec import structs

from job_service.errors import BatchTooLarge, QueueClosed, QueueFull, UnknownPredecessor
from job_service.jobs.state.capacity import Capacity
from job_service.jobs.state.changes import Creation
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import failed_dependency
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.model import Draft, Edit, Job
from job_service.jobs.state.transitions import create
from job_service.jobs.state.weight import submitted_bytes
from job_service.telemetry.events import Event, JobDuplicate, JobRejected, RejectReason


class Admission:
    """Knows the bounds and the unique keys of jobs, which are in memory or elsewhere.

    `find` gives a job to come after, `holder` the one that has a unique key, by its type and that
    key, and `make` makes a job. `put_off` changes a job that waits, or says that it can't.
    """

    def __init__(
        self,
        capacity: Capacity,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        find: Callable[[str], Job | None],
        holder: Callable[[str, str], Job | None],
        make: Callable[[Creation], None],
        put_off: Callable[[Job, Edit], bool],
    ) -> None:
        self.find = find
        self.is_closed = False
        self._capacity = capacity
        self._emit = emit
        self._clock = clock
        self._holder_of = holder
        self._make_job = make
        self._put_off = put_off

    def accept(self, draft: Draft) -> JobSummary:
        """Make a job of it. Raises UnknownPredecessor, QueueFull or QueueClosed."""
        if draft.unique_key is not None:
            return self.accept_all([draft])[0]
        if self.is_closed:
            self._refuse_closed([draft])
        predecessors, size = self._predecessors(draft), submitted_bytes(draft)
        if not self._capacity.fits(1, size):
            self._refuse_full([draft], 1, size)
        return self._make(create(draft, self._clock, predecessors))

    def accept_all(self, drafts: Sequence[Draft]) -> Sequence[JobSummary]:
        """Make a job of each, or none at all. Raises as `accept` does."""
        if len(drafts) == 1 and drafts[0].unique_key is None:  # as of most requests
            return [self.accept(drafts[0])]
        new = self._without_duplicates(drafts)
        size = sum(submitted_bytes(draft) for draft, _ in new) + self._growth(drafts)
        if (new or size) and not self._capacity.fits(len(new), size):
            self._refuse_full(drafts, len(new), size)
        # All are decided before the first is made, because deciding may raise.
        creations = iter([create(draft, self._clock, after) for draft, after in new])
        return [
            self._make(next(creations)) if holder is None else self._give(holder, draft)
            for draft in drafts
            for holder in [self._holder(draft)]
        ]

    def _without_duplicates(self, drafts: Sequence[Draft]) -> list[tuple[Draft, Sequence[Job]]]:
        """Those of the drafts that will make a job, each with its predecessors.

        Raises UnknownPredecessor, or QueueClosed if there are any when no more are taken.
        """
        new = []
        held = set[tuple[str, str]]()
        for draft in drafts:
            key = None if draft.unique_key is None else (draft.type, draft.unique_key)
            is_held = key is not None and (key in held or self._holder(draft) is not None)
            if self.is_closed and (not is_held or draft.debounce_seconds is not None):
                self._refuse_closed(drafts)
            if is_held:
                continue
            predecessors = self._predecessors(draft)
            new.append((draft, predecessors))
            # One that fails at once, because of its predecessor, does not keep its key.
            if key is not None and failed_dependency(predecessors) is None:
                held.add(key)
        return new

    def _holder(self, draft: Draft) -> Job | None:
        if draft.unique_key is None:
            return None
        return self._holder_of(draft.type, draft.unique_key)

    def _predecessors(self, draft: Draft) -> Sequence[Job]:
        if not draft.after:
            return ()
        jobs = []
        for job_id in draft.after:
            job = self.find(job_id)
            if job is None:
                raise UnknownPredecessor(f"there is no job {job_id[:100]} for it to come after")
            jobs.append(job)
        return jobs

    def _make(self, creation: Creation) -> JobSummary:
        self._make_job(creation)
        return summarize(creation.job)

    def _growth(self, drafts: Sequence[Draft]) -> int:
        """By how many bytes jobs grow that get the payloads of these drafts."""
        return sum(
            max(0, len(draft.payload) - len(holder.payload))
            for draft in drafts
            if draft.debounce_seconds is not None and (holder := self._holder(draft)) is not None
        )

    def _give(self, holder: Job, draft: Draft) -> JobSummary:
        """The job that holds the draft's unique key; put off, if that is wanted and in time."""
        if draft.debounce_seconds is None:
            return self._duplicate(holder)
        due = self._clock.now() + timedelta(seconds=draft.debounce_seconds)
        wanted = Edit(due, payload=draft.payload, limit_key=draft.limit_key, by=draft.by)
        if not self._put_off(holder, wanted):
            return self._duplicate(holder)
        return structs.replace(summarize(holder), run_at=due, duplicate=True)

    def _duplicate(self, holder: Job) -> JobSummary:
        self._emit(
            JobDuplicate(
                timestamp=self._clock.now(),
                job_id=holder.id,
                job_type=holder.type,
                unique_key=holder.unique_key or "",
            )
        )
        return structs.replace(summarize(holder), duplicate=True)

    def _refuse_closed(self, drafts: Sequence[Draft]) -> NoReturn:
        self._reject(drafts, "draining")
        raise QueueClosed("the service is draining and takes no more jobs")

    def _refuse_full(self, drafts: Sequence[Draft], wanted: int, size: int) -> NoReturn:
        """Raise QueueFull because this many new jobs, of this many bytes together, do not fit."""
        self._reject(drafts, "full")
        capacity = self._capacity
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
