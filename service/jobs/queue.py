"""The one way in: what routes and embedding programs may ask of the jobs."""

import msgspec

from service.jobs.dispatcher import Dispatcher
from service.jobs.model import TERMINAL, Job, Status
from service.jobs.registry import InvalidPayload, Registry
from service.jobs.snapshots import JobStory, JobSummary, summarize, tell
from service.jobs.store import JobStore

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
    never does. None of them contains a checkpoint, so a caller who is cancelled has either done
    the whole of it or nothing.
    """

    def __init__(self, registry: Registry, store: JobStore, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._store = store
        self._dispatcher = dispatcher

    async def submit(
        self, job_type: str, payload: object = None, *, max_retries: int | None = None
    ) -> JobSummary:
        """Accept a job, to be run by a worker as soon as one is free.

        `payload` is anything msgspec can write as JSON, or JSON text as a `msgspec.Raw`.
        `max_retries` takes the place of the job type's own.

        Raises UnknownJobType, InvalidPayload, ValueError (max_retries out of range), QueueFull or
        QueueClosed, and then nothing has changed.
        """
        registered = self._registry.lookup(job_type)
        if max_retries is None:
            max_retries = registered.retry.max_retries
        elif not 0 <= max_retries <= MAX_RETRIES_LIMIT:
            raise ValueError(f"max_retries must be between 0 and {MAX_RETRIES_LIMIT}")
        text = _encode(payload)
        registered.check_payload(text)
        return self._accept(job_type, text, max_retries)

    async def retry(self, job_id: str) -> JobSummary:
        """Run a job that has ended again, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, QueueFull or QueueClosed, and then nothing has changed.
        """
        job = self._find(job_id)
        if job.status not in TERMINAL:
            raise NotFinished(summarize(job))
        return self._accept(job.type, job.payload, job.max_retries, retry_of=job.id)

    async def get(self, job_id: str) -> JobStory:
        """The whole story of a job. Raises UnknownJob."""
        return tell(self._find(job_id))

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

    def _accept(
        self, job_type: str, payload: bytes, max_retries: int, retry_of: str | None = None
    ) -> JobSummary:
        if not self._dispatcher.accepting:
            self._store.reject(job_type, "draining")
            raise QueueClosed("the service is draining and takes no more jobs")
        if not self._store.has_room:
            self._store.reject(job_type, "full")
            raise QueueFull(f"{self._store.pending} jobs wait, as many as may")
        job = self._store.create(job_type, payload, max_retries, retry_of)
        self._dispatcher.add(job)
        return summarize(job)


def _encode(payload: object) -> bytes:
    try:
        return msgspec.json.encode(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"it can't be written as JSON: {error}") from error
