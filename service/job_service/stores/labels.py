"""The texts by which a database finds jobs in an index of its own: their unique keys and tags."""

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Job


def labels_of(job: Job) -> list[str]:
    """All labels of a job, which stay the same."""
    if job.unique_key is None and not job.tags:
        return []
    return _labels(job.unique_key, job.tags)


def labels_wanted(wanted: JobFilter) -> list[str]:
    """The labels that a job must have, the one that fewer jobs have first."""
    return _labels(wanted.unique_key, () if wanted.tag is None else (wanted.tag,))


def _labels(unique_key: str | None, tags: tuple[str, ...]) -> list[str]:
    keys = [] if unique_key is None else [f"key:{unique_key}"]
    return keys + [f"tag:{tag}" for tag in tags]
