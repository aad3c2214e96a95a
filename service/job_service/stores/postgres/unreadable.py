"""Jobs whose records can't be read: nobody takes them, and nothing stops because of them.

One that was taken would end each process that reads it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from job_service.jobs.state.model import Job
from job_service.stores.postgres.rows import job_of, original_of
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.record import decode
from job_service.stores.unreadable import (
    Columns,
    record_in_row,
    require_json,
    require_known_status,
    stand_in,
    why_unreadable,
)

NO_EDITS: Final = -1  # of a job that can't be read; when it can, it has another number of them

_LABELS: Final = "ARRAY(SELECT label FROM job_service.labels WHERE labels.id = jobs.id)"
_BESIDE_RECORDS: Final = f"""
    SELECT id, type, CASE WHEN node IS NULL THEN 'pending' ELSE status END, priority, created_at,
        run_at, NULL, payload, NULL, {_LABELS}
    FROM job_service.jobs AS jobs WHERE id = ANY(%(ids)s)
    UNION ALL
    SELECT id, type, status, priority, created_at, run_at, finished_at, payload, result, {_LABELS}
    FROM job_service.finished AS jobs WHERE id = ANY(%(ids)s)
"""
_LET_GO: Final = """
    UPDATE job_service.jobs SET node = NULL WHERE id = ANY(%s) RETURNING id, type
"""


class Asks(Protocol):
    """A transaction, or a connection."""

    async def named(
        self, statement: str, values: Mapping[str, object]
    ) -> list[tuple[Any, ...]]: ...


class Unreadable(NamedTuple):
    """A job, and why it can't be read."""

    job_id: str
    job_type: str
    why: str


class Claimed(NamedTuple):
    """The jobs that were taken, and those that were found and left, because none can read them.

    `any_to_edit` is whether somebody still waits for one of them to be changed.
    """

    jobs: Sequence[Job] = ()
    unreadable: Sequence[Unreadable] = ()
    any_to_edit: bool = False


async def take_readable(tx: Transaction, rows: Sequence[Sequence[Any]]) -> Claimed:
    """The jobs of these rows, each with its id before it; nobody holds the unreadable ones."""
    jobs, failures = _read(rows)
    if not failures:
        return Claimed(list(jobs.values()))
    let_go = await tx.rows(_LET_GO, list(failures))
    return Claimed(
        list(jobs.values()),
        [Unreadable(job_id, name, failures[job_id]) for job_id, name in let_go],
    )


def only_readable(rows: Sequence[Sequence[Any]]) -> list[Job]:
    """Those jobs of these rows that can be read."""
    return list(_read(rows)[0].values())


async def jobs_of(
    asks: Asks,
    rows: Sequence[Sequence[Any]],
    *,
    ends: Mapping[str, str] | None = None,
    shows_texts: bool = False,
) -> list[Job]:
    """The jobs of these rows, each with its id before it, in their order.

    `ends` has the statuses in the rows of those that have ended; one that has an unknown status is
    unreadable. If their texts are to be shown, so is one whose payload or result is no JSON.

    What stands for an unreadable one is in its place, and says pending if no process holds it.
    Those that have gone meanwhile are not there. Raises psycopg.Error.
    """
    jobs, failures = _read(rows, ends=ends or {}, shows_texts=shows_texts)
    if failures:
        for row in await asks.named(_BESIDE_RECORDS, {"ids": list(failures)}):
            columns = Columns(*row)
            columns = columns._replace(labels=list(map(original_of, columns.labels)))
            jobs[columns.id] = stand_in(columns, failures[columns.id])
    return [jobs[row[0]] for row in rows if row[0] in jobs]


def why_not_read(record: str, job_id: str) -> str | None:
    """What is wrong with the record of this job; None if it can be read."""
    try:
        record_in_row(record, job_id, None)
    except ValueError as error:
        return why_unreadable(error)
    return None


def edits_of(kept: Mapping[str, str]) -> dict[str, int]:
    """How often each of these jobs was changed, by their ids and records."""
    return {job_id: _edits(record) for job_id, record in kept.items()}


def _read(
    rows: Sequence[Sequence[Any]],
    *,
    ends: Mapping[str, str] = MappingProxyType({}),
    shows_texts: bool = False,
) -> tuple[dict[str, Job], dict[str, str]]:
    """The jobs that can be read by id, and why the others can't."""
    jobs, failures = dict[str, Job](), dict[str, str]()
    for job_id, *row in rows:
        try:
            if job_id in ends:
                require_known_status(ends[job_id])
            job = job_of(job_id, *row)
            if shows_texts:
                require_json(job.payload)
                require_json(job.result or b"null")
            jobs[job_id] = job
        except ValueError as error:
            failures[job_id] = why_unreadable(error)
    return jobs, failures


def _edits(record: str) -> int:
    try:
        return decode(record).edits
    except ValueError:
        return NO_EDITS
