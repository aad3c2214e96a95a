"""Keeps jobs in the database, and all that must be kept beside them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Self

import msgspec

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Status
from job_service.stores.labels import label_of_group
from job_service.stores.sqlite import damaged_texts, finished_counts, upkeep, writing
from job_service.stores.sqlite.connection import open_connection
from job_service.stores.sqlite.listing import ids_of_page
from job_service.stores.sqlite.presence import Presence
from job_service.stores.sqlite.rows import (
    Batch,
    BesideRecord,
    FinishedCount,
    JobRow,
    KeptGroup,
    KeptJob,
    RememberedKeys,
    Schedule,
)
from job_service.stores.unreadable import known_status

# All statuses but the four of jobs that have ended, some of which a damaged row may have. As ranges
# of the index, because else SQLite reads the whole table, with all jobs that have ended.
_OF_UNFINISHED: Final = (
    "status < 'abandoned'",
    "status > 'abandoned' AND status < 'cancelled'",
    "status > 'cancelled' AND status < 'completed'",
    "status > 'completed' AND status < 'failed'",
    "status > 'failed'",
)
_UNFINISHED: Final = (
    " UNION ALL ".join(
        f"SELECT id FROM jobs INDEXED BY jobs_by_status WHERE {statuses}"
        for statuses in _OF_UNFINISHED
    )
    + " ORDER BY id"
)
_THESE: Final = "(SELECT value FROM json_each(?))"
PAGE_CHARS: Final = 1_000_000  # of records, after which a page ends: nothing is committed meanwhile


IN_ONE_GO: Final = 500  # jobs are deleted: commits wait meanwhile


class CannotTrim(Exception):
    """What finished first can't be deleted; the cause says why."""


class JobFile:
    """The jobs in the database of one connection, which is used by one thread only.

    All methods raise sqlite3.Error if the database can't be written or read.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._presence = Presence(connection)
        self._finished: int | None = None  # how many jobs have ended, if that is known

    @classmethod
    def open(cls, path: Path) -> Self:
        """The file at `path`, which is made if there is none. Raises StoreRefused."""
        return cls(open_connection(path))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def write(self, batch: Batch, retain: int | None = None) -> list[FinishedCount]:
        """Keep the whole batch in one transaction, or nothing if this raises.

        The same batch may be written again then, even if it was kept after all. An empty batch
        changes nothing, but it is written to the disk, so it shows whether anything can be kept.

        The same transaction deletes what finished first if that is more than `retain` jobs. It
        raises CannotTrim if the batch could be kept without that. Many are kept a little longer,
        because it costs less to delete several at a time.
        """
        self._presence.require()
        finished, self._finished = self._finished, None  # until it is done
        ended = _sum(batch.ended)
        trimmed = list[FinishedCount]()
        with writing.transaction(self._db):
            writing.write(self._db, batch)
            if finished is None:  # the batch may be kept already, and its ends be counted
                finished_counts.count(self._db)
                finished = _sum(finished_counts.kept(self._db))
            else:
                finished_counts.add(self._db, batch.ended)
                finished += ended
            if retain is not None and finished > retain + retain // 100:
                try:
                    trimmed = self._delete_first(min(finished - retain, IN_ONE_GO + ended))
                except sqlite3.Error as error:
                    raise CannotTrim from error
        self._finished = finished - _sum(trimmed)
        return trimmed

    def write_at_once(self, batch: Batch) -> None:
        """Keep the batch, which may be kept already: what has ended is left to be counted anew."""
        self._presence.require()
        self._finished = None
        with writing.transaction(self._db):
            writing.write(self._db, batch)
            finished_counts.forget(self._db)

    def unfinished(self, portion: int = 500) -> Iterator[list[KeptJob]]:
        """All jobs that have not ended, the oldest first. Nothing may be written meanwhile."""
        ids = self._db.execute(_UNFINISHED)
        while some := [job_id for (job_id,) in ids.fetchmany(portion)]:
            these = ", ".join("?" * len(some))  # quicker here than to take JSON apart
            rows = self._db.execute(f"{damaged_texts.WHOLE} ({these}) ORDER BY id", some)
            yield list(map(KeptJob._make, rows.fetchall()))

    def get(self, job_id: str) -> KeptJob | None:
        """The job, if it is kept."""
        row = self._db.execute(f"{damaged_texts.WHOLE} (?)", [job_id]).fetchone()
        return None if row is None else KeptJob._make(row)

    def beside_records(self, ids: Sequence[str]) -> list[BesideRecord]:
        """What is kept of those of these jobs that are kept, beside their records."""
        rows = self._db.execute(f"{damaged_texts.BESIDE_RECORDS} {_THESE}", [_text(ids)])
        return list(map(damaged_texts.beside_record, rows))

    def let_wait(self, ids: Sequence[str]) -> None:
        """These jobs are pending, whatever their records say."""
        with writing.transaction(self._db):
            self._db.execute(
                f"UPDATE jobs SET status = 'pending' WHERE id IN {_THESE}", [_text(ids)]
            )

    def summaries(self, ids: Sequence[str]) -> dict[str, JobRow]:
        """Those of these jobs that are kept, by id, without their results."""
        rows = self._db.execute(f"{damaged_texts.LISTED} {_THESE}", [_text(ids)]).fetchall()
        return {row[0]: damaged_texts.listed(row) for row in rows}

    def payload_starts(self, ids: Sequence[str], chars: int) -> dict[str, str]:
        """So many characters of the payload of each of these jobs that is kept, by id."""
        rows = self._db.execute(f"{damaged_texts.PAYLOAD_STARTS} {_THESE}", [chars, _text(ids)])
        return dict(map(damaged_texts.payload_start, rows))

    def statuses(self, ids: Sequence[str]) -> dict[str, Status]:
        """The status of each of these jobs that is kept, by id."""
        query = f"SELECT id, status FROM jobs WHERE id IN {_THESE}"
        return dict(self._db.execute(query, [_text(ids)]).fetchall())

    def page(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> tuple[list[JobRow], str | None]:
        """Up to `limit` jobs that are meant, by id, without their results.

        The page begins behind the id `after`, which may be kept no more. The id up to which the
        jobs were looked for comes with them, or None if that is the end. If their records are long,
        it has fewer jobs, but one at least.
        """
        ids, edge = ids_of_page(
            self._db, wanted, after=after, limit=limit, newest_first=newest_first
        )
        rows = list[JobRow]()
        chars = 0
        query = f"{damaged_texts.LISTED} {_THESE} ORDER BY id {'DESC' if newest_first else 'ASC'}"
        with closing(self._db.execute(query, [_text(ids)])) as found:
            for row in found:
                rows.append(damaged_texts.listed(row))
                chars += len(rows[-1].record)
                if chars >= PAGE_CHARS and len(rows) < len(ids):
                    return rows, rows[-1].id
        return rows, edge

    def counts(self) -> dict[str, dict[Status, int]]:
        """How many jobs of each type have which status. It looks at each job."""
        counts: dict[str, dict[Status, int]] = {}
        query = "SELECT type, status, count(*) FROM jobs GROUP BY status, type"
        for job_type, status, jobs in self._db.execute(query).fetchall():
            of_type = counts.setdefault(job_type, {})
            known = known_status(status)
            of_type[known] = of_type.get(known, 0) + jobs
        return counts

    def finished_counts(self) -> list[FinishedCount]:
        """How many jobs have ended. It looks at each only if nobody has counted them yet."""
        counts = finished_counts.kept(self._db)
        if not counts:
            with writing.transaction(self._db):
                finished_counts.count(self._db)
            counts = finished_counts.kept(self._db)
        self._finished = _sum(counts)
        return counts

    def keys(self, now: str) -> RememberedKeys:
        """The keys that are remembered after `now`, and the ends of their jobs that were kept."""
        keys = list(map(damaged_texts.key, self._db.execute(damaged_texts.KEYS, [now])))
        ends = map(damaged_texts.keyed_end, self._db.execute(damaged_texts.KEYED_ENDS, [now]))
        return RememberedKeys(keys, {end.job_id: end for end in ends})

    def forget_keys(self, before: str) -> None:
        """Forget the keys that were remembered until `before` or earlier."""
        with writing.transaction(self._db):
            self._db.execute("DELETE FROM keys WHERE until <= ?", [before])
            self._db.execute("DELETE FROM keyed_ends WHERE until <= ?", [before])

    def pauses(self) -> list[str]:
        """The job types that are paused, "" for the whole queue."""
        return list(map(damaged_texts.pause, self._db.execute(damaged_texts.PAUSES)))

    def schedules(self) -> list[Schedule]:
        """All that is kept of schedules."""
        return list(map(damaged_texts.schedule, self._db.execute(damaged_texts.SCHEDULES)))

    def group(self, group_id: str) -> KeptGroup | None:
        """The group, if it is kept."""
        row = self._db.execute(f"{damaged_texts.GROUPS} id = ?", [group_id]).fetchone()
        return None if row is None else damaged_texts.group(row)

    def unended_groups(self) -> list[KeptGroup]:
        """All groups that have not ended."""
        rows = self._db.execute(f"{damaged_texts.GROUPS} ended_at IS NULL")
        return list(map(damaged_texts.group, rows))

    def groups(self) -> Iterator[KeptGroup]:
        """All groups that are kept. Nothing may be written meanwhile."""
        return map(damaged_texts.group, self._db.execute(f"{damaged_texts.GROUPS} TRUE"))

    def unsuccessful(self, group_id: str) -> list[KeptJob]:
        """Those jobs of a group that have ended and did not complete, the oldest first."""
        rows = self._db.execute(
            f"{damaged_texts.WHOLE} (SELECT id FROM labels WHERE label = ?)"
            " AND status IN ('failed', 'cancelled') ORDER BY id",
            [label_of_group(group_id)],
        )
        return list(map(KeptJob._make, rows))

    def forget_groups(self, keep: int) -> None:
        """Forget all groups that have ended but the last ones, so many."""
        first = "FROM groups WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC"
        with writing.transaction(self._db):
            self._db.execute(
                f"DELETE FROM groups WHERE id IN (SELECT id {first} LIMIT -1 OFFSET ?)", [keep]
            )

    def trim(self, finished_before: str, at_most: int) -> list[FinishedCount]:
        """Delete what finished before a time, so many at most; how many of which kind these were.

        Those that finished first go first.
        """
        query = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE finished_at < ? LIMIT ?)"
        (jobs,) = self._db.execute(query, [finished_before, at_most]).fetchone()
        if jobs == 0:
            return []
        finished, self._finished = self._finished, None  # until it is done
        with writing.transaction(self._db):
            trimmed = self._delete_first(jobs)
        if finished is not None:
            self._finished = finished - jobs
        return trimmed

    def _delete_first(self, jobs: int) -> list[FinishedCount]:
        """Delete so many of those that finished first; how many of which kind these were."""
        first = "FROM jobs WHERE finished_at IS NOT NULL ORDER BY finished_at, id LIMIT ?"
        rows = self._db.execute(
            f"SELECT type, status, count(*) FROM (SELECT type, status {first}) GROUP BY 1, 2",
            [jobs],
        ).fetchall()
        self._db.execute(f"DELETE FROM jobs WHERE id IN (SELECT id {first})", [jobs])
        trimmed = [
            FinishedCount(name, known_status(status), number) for name, status, number in rows
        ]
        finished_counts.take_off(self._db, trimmed)
        return trimmed

    def checkpoint(self) -> None:
        """Empty the write-ahead log, as far as nobody reads it; see `upkeep.checkpoint`."""
        self._presence.require()
        upkeep.checkpoint(self._db)

    def backup(
        self, destination: Path, meanwhile: Callable[["JobFile"], None] = lambda _: None
    ) -> int:
        """Copy the database to a new file; its size. `meanwhile` may use it between the steps.

        Raises BackupRefused; see `upkeep.backup`.
        """
        return upkeep.backup(self._db, destination, lambda: meanwhile(self))

    def check(self) -> list[str]:
        """What is wrong with the database, a line for each thing."""
        return upkeep.check(self._db)


def _sum(counts: Iterable[FinishedCount]) -> int:
    return sum(each.jobs for each in counts)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
