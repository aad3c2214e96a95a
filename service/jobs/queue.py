"""The one way in: what routes and embedding programs may ask of the jobs."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import msgspec
import trio
from msgspec import structs

from service.jobs.dispatcher import Dispatcher
from service.jobs.idempotency import IdempotencyKeys
from service.jobs.model import TERMINAL, Draft, Job, Status
from service.jobs.registry import InvalidPayload, Registry
from service.jobs.snapshots import JobStory, JobSummary, summarize, tell
from service.jobs.store import JobStore
from service.telemetry.events import RejectReason

MAX_RETRIES_LIMIT = 1_000


class QueueFull(Exception):
    """As many jobs wait as may; try again a little later."""


class QueueClosed(Exception):
    """The service is draining and takes no more jobs."""


class UnknownJob(Exception):
    """There is no job of this id, or it finished so long ago that it has been forgotten."""


class AlreadyFinished(Exception):
    """The job has ended, as `job.status` tells, and what has ended stays as it is."""

    def __init__(self, job: JobSummary) -> None:
        super().__init__(f"job {job.id} is already {job.status}")
        self.job = job


class NotFinished(Exception):
    """The job has not ended yet, as `job.status` tells; only one that has can be run again."""

    def __init__(self, job: JobSummary) -> None:
        super().__init__(f"job {job.id} is still {job.status}")
        self.job = job


class JobQueue:
    """Submits, reads, cancels and repeats jobs.

    The methods are coroutines since another engine may have to wait for its answers; this one
    never does. But for `wait`, none of them contains a checkpoint, so a caller who is cancelled has
    either done the whole of it or nothing.

    Who can't know whether a submission arrived may repeat it with the same `idempotency_key`, 1 to
    255 visible ASCII characters of its own choice: for a day, what is asked with a known key
    makes no new job, but gives the one of the first time, `replayed`, even during a drain. Asking
    for something else with it raises IdempotencyKeyReused; what was refused is not remembered.
    """

    def __init__(self, registry: Registry, store: JobStore, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher
        self._keys = IdempotencyKeys(store.clock.monotonic)

    async def submit(
        self,
        job_type: str,
        payload: object = None,
        *,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
    ) -> JobSummary:
        """Accept a job, to be run by a worker as soon as one is free.

        `payload` is anything msgspec can write as JSON, or JSON text as a `msgspec.Raw`.
        `max_retries` takes the place of the job type's own.

        Raises UnknownJobType, InvalidPayload, ValueError (max_retries or the key out of range),
        IdempotencyKeyReused, QueueFull or QueueClosed, and then nothing has changed.
        """
        draft = self.check(job_type, payload, max_retries=max_retries)
        if idempotency_key is None:
            return self._accept(draft)
        return self._once(idempotency_key, ("submit", draft), lambda: [self._accept(draft)])[0]

    async def submit_all(
        self, drafts: Iterable[Draft], *, idempotency_key: str | None = None
    ) -> Sequence[JobSummary]:
        """Accept many jobs, in their order, or none: each as `check` gave it.

        Raises ValueError (the key out of range), IdempotencyKeyReused, QueueFull, where not all of
        them fit, or QueueClosed, and then nothing has changed.
        """
        wanted = list(drafts)
        if idempotency_key is None:
            return self._accept_all(wanted)
        return self._once(idempotency_key, ("submit_all", wanted), lambda: self._accept_all(wanted))

    def check(
        self, job_type: str, payload: object = None, *, max_retries: int | None = None
    ) -> Draft:
        """What `submit` would accept, for `submit_all`; nothing has changed.

        Raises UnknownJobType, InvalidPayload or ValueError (max_retries out of range).
        """
        registered = self._registry.lookup(job_type)
        if max_retries is None:
            max_retries = registered.retry.max_retries
        elif not 0 <= max_retries <= MAX_RETRIES_LIMIT:
            raise ValueError(f"max_retries must be between 0 and {MAX_RETRIES_LIMIT}")
        text = _encode(payload)
        registered.check_payload(text)
        return Draft(job_type, text, max_retries)

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Run a job that has ended again, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, ValueError (the key out of range), IdempotencyKeyReused,
        QueueFull or QueueClosed, and then nothing has changed.
        """
        if idempotency_key is None:
            return self._run_again(job_id)
        return self._once(idempotency_key, ("retry", job_id), lambda: [self._run_again(job_id)])[0]

    async def get(self, job_id: str) -> JobStory:
        """The whole story of a job. Raises UnknownJob."""
        return tell(self._find(job_id))

    async def wait(self, job_id: str, seconds: float) -> JobStory:
        """The story of a job as soon as it has ended, or as it is after so many seconds.

        Raises UnknownJob. This is the one method with a checkpoint; it may be cancelled.
        """
        job = self._find(job_id)
        with trio.move_on_after(seconds):
            await self._store.end_of(job).wait()
        return tell(job)

    async def list(
        self,
        *,
        status: Status | None = None,
        job_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[JobSummary]:
        """Up to `limit` jobs of this status and type, oldest first, from behind the job `after`."""
        jobs = self._store.jobs.page(status=status, job_type=job_type, after=after, limit=limit)
        return [summarize(job) for job in jobs]

    async def cancel(self, job_id: str, reason: str = "requested") -> JobStory:
        """Call a job off: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, or AlreadyFinished where it has ended.
        """
        job = self._find(job_id)
        if job.status == "pending":
            self._store.cancel(job, reason)
            self._dispatcher.discard(job)
        elif job.status == "processing":
            self._store.request_cancel(job, reason)
        else:
            raise AlreadyFinished(summarize(job))
        return tell(job)

    def _find(self, job_id: str) -> Job:
        job = self._store.jobs.get(job_id)
        if job is None:
            raise UnknownJob(f"there is no job {job_id}")
        return job

    def _run_again(self, job_id: str) -> JobSummary:
        job = self._find(job_id)
        if job.status not in TERMINAL:
            raise NotFinished(summarize(job))
        return self._accept(Draft(job.type, job.payload, job.max_retries, retry_of=job.id))

    def _accept(self, draft: Draft) -> JobSummary:
        if not self._dispatcher.accepting or self._store.room < 1:
            self._refuse([draft])
        return self._add(draft)

    def _accept_all(self, drafts: Sequence[Draft]) -> Sequence[JobSummary]:
        if not self._dispatcher.accepting or self._store.room < len(drafts):
            self._refuse(drafts)
        return [self._add(draft) for draft in drafts]

    def _add(self, draft: Draft) -> JobSummary:
        job = self._store.create(draft)
        self._dispatcher.add(job)
        return summarize(job)

    def _refuse(self, drafts: Sequence[Draft]) -> NoReturn:
        if not self._dispatcher.accepting:
            self._reject(drafts, "draining")
            raise QueueClosed("the service is draining and takes no more jobs")
        self._reject(drafts, "full")
        if self._store.room < 1:
            raise QueueFull(f"{self._store.pending} jobs wait, as many as may")
        raise QueueFull(f"{self._store.room} more jobs fit, not {len(drafts)}; none was accepted")

    def _reject(self, drafts: Sequence[Draft], reason: RejectReason) -> None:
        for job_type, jobs in Counter(draft.type for draft in drafts).items():
            self._store.reject(job_type, reason, jobs)

    def _once(
        self, key: str, asked: object, accept: Callable[[], Sequence[JobSummary]]
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was asked with this key before."""
        known = self._keys.recall(key, asked)
        if known is None:
            jobs = accept()
            self._keys.remember(key, asked, jobs)
            return jobs
        return [self._replay(job) for job in known]

    def _replay(self, first: JobSummary) -> JobSummary:
        job = self._store.jobs.get(first.id)
        return structs.replace(summarize(job) if job else first, replayed=True)


def _encode(payload: object) -> bytes:
    try:
        return msgspec.json.encode(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"it can't be written as JSON: {error}") from error
