"""The jobs, how many are in each state, and which of them hold a unique key."""

from datetime import datetime

import trio

from job_service.jobs.model import TERMINAL, TRANSITIONS, IllegalTransition, Job, Status
from job_service.jobs.table import JobTable


class Books:
    """What a store keeps of its jobs. A job enters with `add`, and has its state from `move`."""

    def __init__(self, retain: int) -> None:
        self.jobs = JobTable(retain)
        self.counts: dict[Status, int] = dict.fromkeys(TRANSITIONS, 0)  # since the start
        self._holders: dict[tuple[str, str], Job] = {}  # by type and unique key

    def add(self, job: Job) -> None:
        """Keep a new job, which is pending."""
        if job.unique_key is not None:
            self._holders[job.type, job.unique_key] = job
        self.jobs.add(job)
        self.counts["pending"] += 1

    def holder(self, job_type: str, unique_key: str) -> Job | None:
        """The job of this type that has this unique key and has not ended."""
        return self._holders.get((job_type, unique_key))

    def move(self, job: Job, to: Status, now: datetime) -> None:
        """Bring the job to another state. Raises IllegalTransition, and then nothing has changed.

        Where it is the last one, those who wait for the end of the job are woken.
        """
        came_from = job.status
        if to not in TRANSITIONS[came_from]:
            raise IllegalTransition(job.id, came_from, to)
        job.status = to
        self.counts[came_from] -= 1
        self.counts[to] += 1
        if to in TERMINAL:
            job.finished_at = now
            self.jobs.finished(job)
            if job.unique_key is not None:
                del self._holders[job.type, job.unique_key]
            if job.ending is not None:
                job.ending.status, job.ending.finished_at = to, now
            # Where the service's end comes from another thread, nobody is left who could wait.
            if job.ended is not None and trio.lowlevel.in_trio_run():
                job.ended.set()
        else:
            self.jobs.moved(job)
