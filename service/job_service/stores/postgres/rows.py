"""Jobs as rows of the tables, and back."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from job_service.jobs.state.job_filter import folded_error
from job_service.jobs.state.model import Job
from job_service.jobs.state.weight import weight_in_bytes
from job_service.stores.record import decode, encode, record_of, restore

WHOLE: Final = "record, payload, rescues"  # what `job_of` takes

_ESCAPED: Final = re.compile(r"\\(.)")
_INSERT: Final = """
    INSERT INTO job_service.jobs (id, type, status, priority, created_at, run_at, unique_key,
        limit_key, awaits, node, bytes, record, error, payload)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::smallint[], %s::timestamptz[],
        %s::timestamptz[], %s::text[], %s::text[], %s::int[], %s::uuid[], %s::int[], %s::text[],
        %s::text[], %s::text[])
"""
_FINISH: Final = """
    WITH gone AS (
        DELETE FROM job_service.jobs AS jobs
        USING unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[],
            %s::text[], %s::text[], %s::text[])
            AS ended (id, status, run_at, finished_at, record, error, result)
        WHERE jobs.id = ended.id AND jobs.node IS NOT DISTINCT FROM %s
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
_INSERT_FINISHED: Final = """
    INSERT INTO job_service.finished (id, type, status, priority, created_at, run_at, finished_at,
        record, error, payload)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::smallint[], %s::timestamptz[],
        %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::text[])
"""
_CHANGE: Final = """
    UPDATE job_service.jobs AS jobs SET
        status = new.status, run_at = new.run_at, bytes = new.bytes, record = new.record,
        error = new.error,
        node = CASE WHEN new.stays THEN jobs.node END,
        edit = CASE WHEN new.status = 'pending' THEN jobs.edit END,
        rescues = jobs.rescues + new.rescues
    FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::int[], %s::text[], %s::text[],
        %s::bool[], %s::int[]) AS new (id, status, run_at, bytes, record, error, stays, rescues)
    WHERE jobs.id = new.id AND jobs.node IS NOT DISTINCT FROM %s
    RETURNING jobs.id, jobs.cancel_reason, jobs.cancel_by
"""
_EDIT: Final = """
    UPDATE job_service.jobs AS jobs SET
        priority = new.priority, limit_key = new.limit_key, payload = new.payload, edit = NULL
    FROM unnest(%s::text[], %s::smallint[], %s::text[], %s::text[])
        AS new (id, priority, limit_key, payload)
    WHERE jobs.id = new.id AND jobs.node IS NOT DISTINCT FROM %s
    RETURNING jobs.id, false
"""


class Statement:
    """One statement for many rows, and its values, which are as of the moment it was made."""

    def __init__(self, text: str, rows: Iterable[Sequence[Any]], *more: object) -> None:
        self.text = text
        self.values = (*map(_array_of, zip(*rows, strict=True)), *more)


def insertion(jobs: Iterable[tuple[Job, object]]) -> Statement:
    """Keep new jobs, each with the node that holds it, or None."""
    return Statement(
        _INSERT,
        [
            (
                job.id,
                job.type,
                job.status,
                job.priority,
                job.created_at,
                job.run_at,
                None if job.unique_key is None else text_of(job.unique_key),
                text_of_key(job),
                len(job.awaits or ()),
                node,
                weight_in_bytes(job),
                _record(job),
                folded_error(job),
                job.payload.decode(),
            )
            for job, node in jobs
        ],
    )


def insertion_of_finished(jobs: Iterable[Job]) -> Statement:
    """Keep new jobs that have ended already."""
    return Statement(
        _INSERT_FINISHED,
        [
            (
                job.id,
                job.type,
                job.status,
                job.priority,
                job.created_at,
                job.run_at,
                job.finished_at,
                _record(job),
                folded_error(job),
                job.payload.decode(),
            )
            for job in jobs
        ],
    )


def finishing(jobs: Iterable[Job], node: object) -> Statement:
    """Keep the ends of jobs that this node holds, or nobody if it is None.

    Gives their ids, and which of them others await.
    """
    return Statement(
        _FINISH,
        [
            (
                job.id,
                job.status,
                job.run_at,
                job.finished_at,
                _record(job),
                folded_error(job),
                None if job.result is None else job.result.decode(),
            )
            for job in jobs
        ],
        node,
    )


def changing(jobs: Iterable[tuple[Job, bool]], node: object, rescues: int = 0) -> Statement:
    """Keep what has become of jobs that this node holds, and whether it goes on to hold each.

    Gives their ids, each with the reason for which others want it called off, or None, and who.
    """
    return Statement(
        _CHANGE,
        [
            (
                job.id,
                job.status,
                job.run_at,
                weight_in_bytes(job),
                _record(job),
                folded_error(job),
                stays,
                rescues,
            )
            for job, stays in jobs
        ],
        node,
    )


def editing(jobs: Iterable[Job], node: object) -> Statement:
    """Keep what of waiting jobs `changing` does not, because only clients change it.

    Gives their ids.
    """
    rows = [(job.id, job.priority, text_of_key(job), job.payload.decode()) for job in jobs]
    return Statement(_EDIT, rows, node)


def job_of(record: str, payload: str, rescues: int, result: str | None = None) -> Job:
    """The job of a row.

    The start of one that was rescued is kept before its handler is called. Raises
    msgspec.DecodeError if the record can't be read.
    """
    job = restore(decode(record), payload.encode(), None if result is None else result.encode())
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


def _array_of(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it. psycopg would take ten times as long for long texts."""
    return f"{{{','.join(map(_item_of, values))}}}"


def _item_of(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if isinstance(value, str):
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _record(job: Job) -> str:
    return encode(record_of(job)).decode()
