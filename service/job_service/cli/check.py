"""The command `check`: whether a file of jobs is sound, and whether its jobs fit a program."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from job_service.cli.misfits import MisfitCount, Misfits, lines_of_misfits
from job_service.errors import StoreRefused
from job_service.jobs.queueing.fitness import why_unfit
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.model import TRANSITIONS, Job, Status
from job_service.stores.sqlite.connection import open_connection, refusal
from job_service.stores.sqlite.damaged_rows import DamagedRows, damaged_rows
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import job_of
from job_service.stores.sqlite.schema import VERSION, number_of, version_of
from job_service.telemetry.events import utc_now


class Report(msgspec.Struct, kw_only=True):
    """What was found out about a file.

    `counts` has the number of jobs by status. `misfits` is None if no handlers were given to
    compare with.
    """

    file: str
    bytes: int
    schema_version: int | None = None
    known_version: int = VERSION
    sqlite_version: str = sqlite3.sqlite_version
    counts: dict[Status, int] = {}
    problems: list[str] = []
    misfits: list[Misfits] | None = None

    @property
    def is_well(self) -> bool:
        """Whether the file is sound, and all of its jobs fit."""
        return not self.problems and not self.misfits


def examine(path: Path, registry: Registry | None) -> Report:
    """Look at all that is in the file, as of one moment, without changing it.

    A service may run on it. Its jobs that have not ended are compared with `registry`.
    """
    report = Report(file=str(path), bytes=path.stat().st_size)
    try:
        with closing(open_connection(path, read_only=True)) as connection:
            connection.execute("BEGIN")  # what is written from now on is not seen
            report.schema_version = version_of(connection)
            report.bytes = number_of(connection, "page_count") * number_of(connection, "page_size")
            _read(JobFile(connection), report, registry)
    except StoreRefused as error:
        report.problems.append(str(error))
    except sqlite3.Error as error:
        report.problems.append(refusal(path, error))
    return report


def lines_of(report: Report) -> Iterator[str]:
    """The report for people."""
    if report.schema_version is not None:
        yield (
            f"{report.file}: {report.bytes:,} bytes, schema version {report.schema_version} "
            f"(this program knows {report.known_version}), SQLite {report.sqlite_version}"
        )
        yield ", ".join(f"{jobs:,} {status}" for status, jobs in report.counts.items())
    for problem in report.problems:
        yield f"wrong: {problem}"
    yield from lines_of_misfits(report.misfits or [])
    yield _verdict(report)


def _read(file: JobFile, report: Report, registry: Registry | None) -> None:
    report.counts = dict.fromkeys(TRANSITIONS, 0)
    for of_type in file.counts().values():
        for status, jobs in of_type.items():
            report.counts[status] = report.counts.get(status, 0) + jobs
    report.problems += file.check()
    if report.schema_version == VERSION:
        report.problems += map(_damage, damaged_rows(file, utc_now()))
    misfits = MisfitCount()
    for job in _unfinished(file, report):
        if registry is not None and (why := why_unfit(registry, job)) is not None:
            misfits.add(job.type, why, job.id)
    if registry is not None:
        report.misfits = misfits.all()


def _damage(damaged: DamagedRows) -> str:
    """What is wrong, and what becomes of it."""
    rows = "1 row" if damaged.rows == 1 else f"{damaged.rows:,} rows"
    return f"{rows} of {damaged.table} can't be read ({damaged.error}): {damaged.effect}"


def _unfinished(file: JobFile, report: Report) -> Iterator[Job]:
    for portion in file.unfinished():
        for kept in portion:
            try:
                yield job_of(kept)
            except ValueError as error:
                record = kept.record[:100].decode(errors="replace")
                report.problems.append(f"a job can't be read: {error}: {record}")


def _verdict(report: Report) -> str:
    if report.problems:
        return "It is not sound."
    if report.misfits is None:
        return "It is sound. No --jobs were given, so nothing was compared with handlers."
    if report.misfits:
        number = sum(misfits.jobs for misfits in report.misfits)
        return f"It is sound, but {number:,} of its jobs would wait for other handlers."
    return "It is sound, and all jobs that have not ended fit the handlers."
