"""Jobs as rows of the tables, and back."""

import re
from collections.abc import Collection, Sequence
from typing import Final

from job_service.jobs.state.job_filter import folded_error
from job_service.jobs.state.model import Job
from job_service.jobs.state.weight import weight_in_bytes
from job_service.stores.postgres.arrays import JOINED, joined, plain, texts
from job_service.stores.record import encode, record_of, restore
from job_service.stores.unreadable import record_in_row

WHOLE: Final = "record, payload, rescues"  # what `job_of` takes

_ESCAPED: Final = re.compile(r"\\(.)")
_INSERT: Final = f"""
    INSERT INTO job_service.jobs (id, type, status, priority, created_at, run_at, unique_key,
        limit_key, awaits, node, bytes, record, error, payload)
    SELECT * FROM unnest({JOINED}, {JOINED}, {JOINED}, %s::smallint[], %s::timestamptz[],
        %s::timestamptz[], %s::text[], %s::text[], %s::int[], %s::uuid[], %s::int[],
        {JOINED}, %s::text[], {JOINED})
"""
# Each job is looked for by its id, whatever the planner believes. It would join these with all
# jobs, because it has seen few that a node holds, or few jobs at all.
_FINISH: Final = f"""
    WITH ended AS (
        SELECT ended.*
        FROM unnest({JOINED}, {JOINED}, %s::timestamptz[], %s::timestamptz[], {JOINED},
            %s::text[], {JOINED}) AS ended (id, status, run_at, finished_at, record, error, result),
        LATERAL (
            SELECT FROM job_service.jobs
            WHERE jobs.id = ended.id AND node IS NOT DISTINCT FROM %s FOR UPDATE
        ) AS job
    ), gone AS (
        DELETE FROM job_service.jobs AS jobs USING ended WHERE jobs.id = ended.id
        RETURNING jobs.id, jobs.type, ended.status, jobs.priority, jobs.created_at, ended.run_at,
            ended.finished_at, ended.record, ended.error, jobs.payload, ended.result,
            jobs.is_awaited
    ), kept AS (
        INSERT INTO job_service.finished (id, type, status, priority, created_at, run_at,
            finished_at, record, error, payload, result)
        SELECT id, type, status, priority, created_at, run_at, finished_at, record, error, payload,
            result
        FROM gone
    )
    SELECT id, is_awaited FROM gone
"""
_INSERT_FINISHED: Final = f"""
    INSERT INTO job_service.finished (id, type, status, priority, created_at, run_at, finished_at,
        record, error, payload)
    SELECT * FROM unnest({JOINED}, {JOINED}, {JOINED}, %s::smallint[], %s::timestamptz[],
        %s::timestamptz[], %s::timestamptz[], {JOINED}, %s::text[], {JOINED})
"""
# Counts jobs that change, because no trigger does: see `schema`. It comes after `new`, which has
# what they become and what they were.
COUNTED: Final = """
    counted AS (
        INSERT INTO job_service.counts AS kept
        SELECT pg_backend_pid(), type, status, sum(jobs), sum(bytes) FROM (
            SELECT type, status, 1 AS jobs, bytes FROM new
            UNION ALL
            SELECT type, old_status, -1, -old_bytes FROM new
        ) AS moves
        GROUP BY type, status HAVING sum(jobs) <> 0 OR sum(bytes) <> 0 ORDER BY type, status
        ON CONFLICT (stripe, type, status) DO UPDATE
            SET jobs = kept.jobs + excluded.jobs, bytes = kept.bytes + excluded.bytes
    )
"""
_CHANGE: Final = f"""
    WITH new AS (
        SELECT new.*, job.*
        FROM unnest({JOINED}, {JOINED}, %s::timestamptz[], %s::int[], {JOINED}, %s::text[],
            %s::bool[]) AS new (id, status, run_at, bytes, record, error, stays),
        LATERAL (
            SELECT type, jobs.status AS old_status, jobs.bytes AS old_bytes
            FROM job_service.jobs
            WHERE jobs.id = new.id AND node IS NOT DISTINCT FROM %s FOR UPDATE
        ) AS job
    ), {COUNTED}
    UPDATE job_service.jobs AS jobs SET
        status = new.status, run_at = new.run_at, bytes = new.bytes, record = new.record,
        error = new.error,
        node = CASE WHEN new.stays THEN jobs.node END,
        edit = CASE WHEN new.status = 'pending' THEN jobs.edit END,
        rescues = jobs.rescues + %s
    FROM new WHERE jobs.id = new.id
    RETURNING jobs.id, jobs.cancel_reason, jobs.cancel_by
"""
_EDIT: Final = f"""
    UPDATE job_service.jobs AS jobs SET
        priority = new.priority, limit_key = new.limit_key, payload = new.payload, edit = NULL
    FROM unnest({JOINED}, %s::smallint[], %s::text[], {JOINED})
        AS new (id, priority, limit_key, payload),
    LATERAL (
        SELECT FROM job_service.jobs
        WHERE jobs.id = new.id AND node IS NOT DISTINCT FROM %s FOR UPDATE
    ) AS job
    WHERE jobs.id = new.id
    RETURNING jobs.id, false
"""


class Statement:
    """One statement, and its values, which are as of the moment it was made."""

    def __init__(self, text: str, *values: object) -> None:
        self.text = text
        self.values = values


def insertion(jobs: Sequence[Job], node: object = None, held: Collection[str] = ()) -> Statement:
    """Keep new jobs. The node holds those whose ids are in `held`, and nobody the others."""
    return Statement(
        _INSERT,
        *joined([job.id for job in jobs]),
        *joined([job.type for job in jobs]),
        *joined([job.status for job in jobs]),
        plain([job.priority for job in jobs]),
        plain([job.created_at for job in jobs]),
        plain([job.run_at for job in jobs]),
        texts([None if job.unique_key is None else text_of(job.unique_key) for job in jobs]),
        texts([text_of_key(job) for job in jobs]),
        plain([len(job.awaits or ()) for job in jobs]),
        texts([str(node) if job.id in held else None for job in jobs]),
        plain([weight_in_bytes(job) for job in jobs]),
        *joined([_record(job) for job in jobs]),
        texts([folded_error(job) for job in jobs]),
        *joined([job.payload.decode() for job in jobs]),
    )


def insertion_of_finished(jobs: Sequence[Job]) -> Statement:
    """Keep new jobs that have ended already."""
    return Statement(
        _INSERT_FINISHED,
        *joined([job.id for job in jobs]),
        *joined([job.type for job in jobs]),
        *joined([job.status for job in jobs]),
        plain([job.priority for job in jobs]),
        plain([job.created_at for job in jobs]),
        plain([job.run_at for job in jobs]),
        plain([job.finished_at for job in jobs]),
        *joined([_record(job) for job in jobs]),
        texts([folded_error(job) for job in jobs]),
        *joined([job.payload.decode() for job in jobs]),
    )


def finishing(jobs: Sequence[Job], node: object) -> Statement:
    """Keep the ends of jobs that this node holds, or nobody if it is None.

    Gives their ids, and which of them others await.
    """
    return Statement(
        _FINISH,
        *joined([job.id for job in jobs]),
        *joined([job.status for job in jobs]),
        plain([job.run_at for job in jobs]),
        plain([job.finished_at for job in jobs]),
        *joined([_record(job) for job in jobs]),
        texts([folded_error(job) for job in jobs]),
        *joined(["" if job.result is None else job.result.decode() for job in jobs]),
        node,
    )


def changing(jobs: Sequence[tuple[Job, bool]], node: object, rescues: int = 0) -> Statement:
    """Keep what has become of jobs that this node holds, and whether it goes on to hold each.

    Gives their ids, each with the reason for which others want it called off, or None, and who.
    """
    changed = [job for job, _ in jobs]
    return Statement(
        _CHANGE,
        *joined([job.id for job in changed]),
        *joined([job.status for job in changed]),
        plain([job.run_at for job in changed]),
        plain([weight_in_bytes(job) for job in changed]),
        *joined([_record(job) for job in changed]),
        texts([folded_error(job) for job in changed]),
        plain([stays for _, stays in jobs]),
        node,
        rescues,
    )


def editing(jobs: Sequence[Job], node: object) -> Statement:
    """Keep what of waiting jobs `changing` does not, because only clients change it.

    Gives their ids.
    """
    return Statement(
        _EDIT,
        *joined([job.id for job in jobs]),
        plain([job.priority for job in jobs]),
        texts([text_of_key(job) for job in jobs]),
        *joined([job.payload.decode() for job in jobs]),
        node,
    )


def job_of(job_id: str, record: str, payload: str, rescues: int, result: str | None = None) -> Job:
    """The job of a row.

    The start of one that was rescued is kept before its handler is called. Raises ValueError if the
    record can't be read.
    """
    kept = record_in_row(record, job_id, None)
    job = restore(kept, payload.encode(), None if result is None else result.encode())
    job.is_recovered = rescues > 0
    return job


def text_of(text: str) -> str:
    """A text as PostgreSQL has it, which takes any character but one."""
    return text.replace("\\", "\\\\").replace("\0", "\\0")


def original_of(text: str) -> str:
    """The text that PostgreSQL has as this one."""
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else found[1], text)


def text_of_key(job: Job) -> str | None:
    """The limit key of a job as the tables have it."""
    return None if job.limit_key is None else text_of(job.limit_key)


def is_storable(job_id: str) -> bool:
    """Whether a job may have this id: a client may ask for anything."""
    return job_id.isascii() and "\0" not in job_id


def _record(job: Job) -> str:
    return encode(record_of(job)).decode()
