"""The jobs, how many are in each state, what they weigh, and which of them hold a unique key."""

from datetime import datetime

import trio

from job_service.jobs.state.model import TRANSITIONS, IllegalTransition, Job, Status
from job_service.jobs.state.retention import Retention
from job_service.jobs.state.table import JobTable
from job_service.jobs.state.weight import submitted_bytes, weight_in_bytes


class StateIndex:
    """What a store keeps of its jobs. A job enters with `add`, and has its state from `move`."""

    def __init__(self, retain: int, retain_bytes: int) -> None:
        self.jobs = JobTable()
        self._retention = Retention(retain, retain_bytes, self.jobs.forget)
        self.unfinished_bytes = 0  # of the jobs that have not ended
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

    @property
    def weight(self) -> int:
        """What all jobs weigh together, in bytes."""
        return self.unfinished_bytes + self._retention.weight

    def holder(self, job_type: str, unique_key: str) -> Job | None:
        """The job of this type that has this unique key and has not ended."""
        return self._holders.get((job_type, unique_key))

    def move(self, job: Job, to: Status, now: datetime) -> None:
        """Bring the job to another state. Raises IllegalTransition, and then nothing has changed.

        What its attempt has left must be in the job by then, for that is weighed. Where it is the
        last state, those who wait for the end of the job are woken.
        """
        came_from = job.status
        if to not in TRANSITIONS[came_from]:
            raise IllegalTransition(job.id, came_from, to)
        job.status = to
        self.counts[came_from] -= 1
        self.counts[to] += 1
        self.jobs.moved(job)
        if to == "processing":
            return
        self.unfinished_bytes -= job.weight
        weight = job.weight = weight_in_bytes(job)
        if to == "pending":
            self.unfinished_bytes += weight
        else:
            job.finished_at = now
            self._retention.keep(job)
            if job.unique_key is not None:
                del self._holders[job.type, job.unique_key]
            if job.ending is not None:
                job.ending.status, job.ending.finished_at = to, now
            # Where the service's end comes from another thread, nobody is left who could wait.
            if job.ended is not None and trio.lowlevel.in_trio_run():
                job.ended.set()
