"""Keeps the texts by which jobs are found in an index of their own."""

from collections.abc import Iterable

from job_service.jobs.state.model import Job
from job_service.stores.labels import labels_of
from job_service.stores.postgres.rows import text_of
from job_service.stores.postgres.transaction import Transaction


async def keep_labels(tx: Transaction, jobs: Iterable[Job]) -> None:
    """Keep the labels of new jobs."""
    labels = [(text_of(label), job.id) for job in jobs for label in labels_of(job)]
    if labels:
        await tx.rows(
            "INSERT INTO job_service.labels SELECT * FROM unnest(%s::text[], %s::text[])",
            *map(list, zip(*labels, strict=True)),
        )
