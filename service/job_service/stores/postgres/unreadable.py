"""Jobs whose rows can't be read, as those that somebody wrote by hand: nobody takes them.

One that was taken would end each process that reads it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from job_service.jobs.state.model import Job
from job_service.stores.postgres.rows import job_of
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.record import decode

NO_EDITS: Final = -1  # of a job that can't be read; when it can, it has another number of them

_LET_GO: Final = """
    UPDATE job_service.jobs SET node = NULL WHERE id = ANY(%s) RETURNING id, type
"""


class Unreadable(NamedTuple):
    """A job, and why it can't be read."""

    job_id: str
    job_type: str
    why: str


class Claimed(NamedTuple):
    """The jobs that were taken, and those that were found and left, because none can read them."""

    jobs: Sequence[Job] = ()
    unreadable: Sequence[Unreadable] = ()


async def take_readable(tx: Transaction, rows: Sequence[Sequence[Any]]) -> Claimed:
    """The jobs of these rows, each with its id before it; nobody holds the unreadable ones."""
    jobs = list[Job]()
    failures = dict[str, str]()
    for job_id, *row in rows:
        try:
            jobs.append(job_of(*row))
        except msgspec.DecodeError as error:
            failures[job_id] = f"it can't be read: {error}"
    if not failures:
        return Claimed(jobs)
    let_go = await tx.rows(_LET_GO, list(failures))
    return Claimed(jobs, [Unreadable(job_id, name, failures[job_id]) for job_id, name in let_go])


def edits_of(kept: Mapping[str, str]) -> dict[str, int]:
    """How often each of these jobs was changed, by their ids and records."""
    return {job_id: _edits(record) for job_id, record in kept.items()}


def _edits(record: str) -> int:
    try:
        return decode(record).edits
    except msgspec.DecodeError:
        return NO_EDITS
