"""A backup is whole or not there, and a check finds what is wrong."""

import sqlite3
from pathlib import Path

import pytest

from job_service.errors import BackupRefused
from job_service.stores.sqlite.connection import BUSY_SECONDS, open_connection
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import Batch, FinishedCount
from job_service.stores.sqlite.upkeep import STEP_PAGES
from tests.stores.sqlite.sample import closing_file, job, job_id, moment, new


def test_a_backup_has_all_that_was_kept_until_then(file: JobFile, tmp_path: Path) -> None:
    """And can be opened as the database that it is a copy of."""
    file.write(new(job(1), job(2, "completed", finished=3)))
    file.backup(tmp_path / "copy.db")
    file.write(new(job(3)))
    with closing_file(tmp_path / "copy.db") as copy:
        assert copy.counts() == {"email": {"pending": 1, "completed": 1}}
        assert copy.get(job_id(1)) == file.get(job_id(1))
        assert copy.check() == []


def test_a_backup_replaces_nothing(file: JobFile, tmp_path: Path) -> None:
    """Not even an empty file, and it leaves nothing behind."""
    there = tmp_path / "copy.db"
    there.touch()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BackupRefused, match=r"copy\.db is there already: name a new file"):
        file.backup(there)
    assert there.read_bytes() == b""
    assert sorted(tmp_path.iterdir()) == before


def test_a_backup_needs_a_directory(file: JobFile, tmp_path: Path) -> None:
    """It is not made."""
    with pytest.raises(BackupRefused, match=r"can't make .*/missing/copy\.db"):
        file.backup(tmp_path / "missing" / "copy.db")


def test_a_backup_that_fails_leaves_nothing(file: JobFile, tmp_path: Path) -> None:
    """Half a copy would be taken for a whole one."""
    before = sorted(tmp_path.iterdir())

    def fail(_: JobFile) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(BackupRefused, match=r"can't make .*/copy\.db: database or disk is full"):
        file.backup(tmp_path / "copy.db", fail)
    assert sorted(tmp_path.iterdir()) == before


def test_the_rest_of_a_broken_backup_is_no_hindrance(file: JobFile, tmp_path: Path) -> None:
    """The next one to the same place begins anew."""
    (tmp_path / "copy.db-part").write_bytes(b"half")
    file.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db-part").exists()


def test_a_backup_has_what_was_written_while_it_was_made(file: JobFile, tmp_path: Path) -> None:
    """It is as the file is when its last page is copied; who writes waits for a step at most."""
    file.write(new(*[job(number, record="x" * 2_000) for number in range(5_000)]))
    steps = list[int]()

    def write_more(file: JobFile) -> None:
        steps.append(number := 5_000 + len(steps))
        file.write(new(job(number)))
        file.write(
            Batch(
                [job(number - 5_000, "completed", finished=9)],
                ended=[FinishedCount("email", "completed", 1)],
            )
        )
        file.checkpoint()

    size = file.backup(tmp_path / "copy.db", write_more)
    assert len(steps) > 2
    assert size == (tmp_path / "copy.db").stat().st_size > 4_096 * STEP_PAGES
    with closing_file(tmp_path / "copy.db") as copy:
        assert copy.counts() == {"email": {"pending": 5_000, "completed": len(steps) - 1}}
        assert copy.check() == []


def test_a_checkpoint_waits_for_no_reader(file: JobFile, path: Path) -> None:
    """Commits would have to wait with it. What it can't do now, it does the next time."""
    file.write(new(job(1)))
    log, reader = Path(f"{path}-wal"), open_connection(path, read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM jobs").fetchone()
    file.write(new(job(2)))
    done = list[str]()
    file._db.set_trace_callback(done.append)
    file.checkpoint()
    assert done == [
        "PRAGMA busy_timeout = 0",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000:.0f}",
    ]
    assert log.stat().st_size > 0
    reader.close()
    file.checkpoint()
    assert log.stat().st_size == 0


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("DELETE FROM payloads", "job job-0001 has no payload"),
        ("UPDATE payloads SET id = 'x'", "there is a payload of job x, which is not kept"),
        ("UPDATE jobs SET status = 'lost'", "job job-0001 has the unknown status lost"),
        (
            "UPDATE jobs SET status = 'failed'",
            "job job-0001 is failed, but the time of its end is no time",
        ),
        (
            "UPDATE jobs SET finished_at = run_at",
            f"job job-0001 is pending, but the time of its end is {moment(1)}",
        ),
        (
            "UPDATE jobs SET run_at = '2026-01-01T00:00:00Z'",
            "job job-0001 has a run_at that is no time: 2026-01-01T00:00:00Z",
        ),
    ],
)
def test_a_check_finds_what_is_wrong(file: JobFile, path: Path, harm: str, line: str) -> None:
    """One line for each thing, which names the job."""
    file.write(new(job(1)))
    assert file.check() == []
    database = open_connection(path)
    database.execute(harm)
    database.close()
    assert line in file.check()


def test_a_check_has_an_end(file: JobFile) -> None:
    """Of a thousand jobs with the same fault it names a hundred."""
    batch = new(*[job(number) for number in range(1_000)])
    batch.payloads.clear()
    file.write(batch)
    lines = file.check()
    assert len(lines) == 101
    assert lines[-1] == "there are more of this kind"
