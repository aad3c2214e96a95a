"""Stands for a job whose record can't be read: it can be seen and cancelled, and no more.

Somebody may have changed the record by hand, or a newer program may have written it. So it must
stay as it is until the job ends.
"""

from job_service.errors import UnreadableJob
from job_service.jobs.state.model import Job


class StandIn(Job, eq=False, gc=False, kw_only=True):
    """A job of which only that is known which its store keeps beside the record.

    `why` says what is wrong with the record.
    """

    why: str


def require_readable(job: Job) -> None:
    """Raise UnreadableJob if the record of the job can't be read."""
    if isinstance(job, StandIn):
        raise UnreadableJob(f"job {job.id} can only be cancelled: {job.why}")
