"""The jobs, how many are in each state, what they weigh, and which of them hold a unique key."""

from datetime import datetime

from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Job, Status
from job_service.jobs.state.retention import Retention
from job_service.jobs.state.table import JobTable
from job_service.jobs.state.weight import submitted_bytes, weight_in_bytes


class StateIndex:
    """The jobs that are kept. One enters with `add`, and has its status from `move`."""

    def __init__(self, retain: float, retain_bytes: float) -> None:
        self.jobs = JobTable()
        self._retention = Retention(retain, retain_bytes, self.jobs.forget)
        self.unfinished_bytes = 0  # of the jobs that have not ended, or are yet to be made
        self.counts: dict[Status, int] = dict.fromkeys(TRANSITIONS, 0)  # since the start
        self._holders: dict[tuple[str, str], Job] = {}  # by type and unique key

    def add(self, job: Job) -> None:
        """Keep a new job, which is pending."""
        if job.unique_key is not None:
            self._holders[job.type, job.unique_key] = job
        self.jobs.add(job)
        self.counts["pending"] += 1
        weight = job.weight = submitted_bytes(job)
        self.unfinished_bytes += weight

    def drop(self, job: Job) -> None:
        """Keep the job no more, whatever its status: it is kept elsewhere, or was never made."""
        if job.status in TERMINAL:
            self._retention.drop(job)
            return
        if job.unique_key is not None:
            self._free_key(job, job.unique_key)
        self.counts[job.status] -= 1
        self.unfinished_bytes -= job.weight
        self.jobs.forget(job)

    def weigh(self, more: int) -> None:
        """Count this many bytes more, or less, of what is kept for jobs that are not made yet."""
        self.unfinished_bytes += more

    @property
    def weight(self) -> int:
        """What all jobs weigh together, in bytes."""
        return self.unfinished_bytes + self._retention.weight

    def holder(self, job_type: str, unique_key: str) -> Job | None:
        """The job of this type that has this unique key and has not ended."""
        return self._holders.get((job_type, unique_key))

    def move(self, job: Job, to: Status, now: datetime) -> None:
        """Bring the job to another status, as was decided.

        What its attempt has left must be in the job by then, because that is weighed. If it has
        ended, those who wait for that are woken.
        """
        self.counts[job.status] -= 1
        self.counts[to] += 1
        job.status = to
        self.jobs.moved(job)
        if to == "processing":
            return
        self.unfinished_bytes -= job.weight
        weight = job.weight = weight_in_bytes(job)
        if to == "pending":
            self.unfinished_bytes += weight
            return
        job.finished_at = now
        self._retention.keep(job)
        if job.unique_key is not None:
            self._free_key(job, job.unique_key)
        if job.ending is not None:
            job.ending.come(to, now)

    def reweigh(self, job: Job) -> None:
        """A job that waits has another payload."""
        before, job.weight = job.weight, weight_in_bytes(job)
        self.unfinished_bytes += job.weight - before

    def _free_key(self, job: Job, unique_key: str) -> None:
        """Let others have the unique key of the job.

        In a shared store, one may have it already: if this process has lost the job, that ended
        elsewhere before this process knew of the loss.
        """
        if self.holder(job.type, unique_key) is job:
            del self._holders[job.type, unique_key]
