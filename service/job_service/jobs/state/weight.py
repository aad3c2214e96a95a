"""Weighs a job: the memory of its texts, which may be long, beyond what every job takes."""

from sys import getsizeof

from job_service.jobs.state.job_log import bytes_of
from job_service.jobs.state.model import Draft, Job

DEFAULT_QUEUE_BYTES = 64 * 1024 * 1024  # of jobs that have not ended
DEFAULT_RETAIN_BYTES = 128 * 1024 * 1024  # of all others

_ATTEMPT_BYTES = 400  # of the record of one, with its times; every job has one


def submitted_bytes(job: Draft | Job) -> int:
    """What comes with a submission: the payload, the ids that it is to come after, its tags."""
    if not job.after and not job.tags:
        return len(job.payload)
    return len(job.payload) + sum(map(getsizeof, (*job.after, *job.tags)))


def weight_in_bytes(job: Job) -> int:
    """All that the job keeps now: what was submitted, its result, and what its attempts left."""
    attempts = job.attempts
    weight = len(job.payload)
    if len(attempts) > 1:
        weight += _ATTEMPT_BYTES * (len(attempts) - 1)
    if job.after or job.tags:
        weight += sum(map(getsizeof, (*job.after, *job.tags)))
    if job.result is not None:
        weight += len(job.result)
    for attempt in attempts:
        if attempt.log is not None:
            weight += bytes_of(attempt.log)
        if attempt.error is not None:
            weight += getsizeof(attempt.error) + getsizeof(attempt.traceback)
    return weight
