"""The texts by which a database finds jobs in an index of its own: keys, groups and tags."""

from collections.abc import Iterable
from typing import NamedTuple

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Job


def labels_of(job: Job) -> list[str]:
    """All labels of a job, which stay the same."""
    if job.unique_key is None and not job.tags and job.group is None:
        return []
    return _labels(job.unique_key, job.group, job.tags)


def labels_wanted(wanted: JobFilter) -> list[str]:
    """The labels that a job must have, the one that fewer jobs have first."""
    return _labels(wanted.unique_key, wanted.group, () if wanted.tag is None else (wanted.tag,))


def label_of_group(group_id: str) -> str:
    """The label that each job of a group has."""
    return f"group:{group_id}"


class Described(NamedTuple):
    """What the labels of a job say of it."""

    unique_key: str | None
    group: str | None
    tags: tuple[str, ...]


def described(labels: Iterable[str]) -> Described:
    """What these labels of a job say of it. The tags are in the order of their labels."""
    said: dict[str, list[str]] = {}
    for label in labels:
        kind, _, text = label.partition(":")
        said.setdefault(kind, []).append(text)
    (unique_key,) = said.get("key", [None])
    (group,) = said.get("group", [None])
    return Described(unique_key, group, tuple(said.get("tag", ())))


def _labels(unique_key: str | None, group: str | None, tags: tuple[str, ...]) -> list[str]:
    labels = [] if unique_key is None else [f"key:{unique_key}"]
    if group is not None:
        labels.append(label_of_group(group))
    return labels + [f"tag:{tag}" for tag in tags]
