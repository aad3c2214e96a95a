"""What a page costs, however many jobs the file has."""

from pathlib import Path

import pytest

from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.sqlite import job_file, listing
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import FinishedCount, Schedule
from tests.stores.sought import SOUGHT
from tests.stores.sqlite.sample import closing_file, job, job_id, moment, new


@pytest.mark.parametrize("wanted", SOUGHT)
def test_a_page_costs_the_same_however_many_jobs_are_kept(
    file: JobFile, wanted: JobFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in SQLite's own steps, with 2,000 jobs and with 16,000; whatever is sought."""
    monkeypatch.setattr(listing, "LOOKS_AT_IDS", 12)
    monkeypatch.setattr(listing, "LOOKS_AT_ROWS", 12)
    monkeypatch.setattr(listing, "LOOKS_AT_ERRORS", 12)
    taken = list[int]()
    for kept in (2_000, 16_000):
        fill(file, kept)
        taken += [_steps(file, wanted, newest_first=newest) for newest in (False, True)]
    assert max(taken[2:]) <= 1.2 * max(taken[:2]) + 20


FILL = (
    """
    INSERT OR IGNORE INTO jobs
    WITH RECURSIVE some (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM some WHERE n < ?)
    SELECT
        printf('%08x-0000-7000-8000-000000000000', n),
        iif(n % 3, 'email', 'letter'),
        iif(n % 100, 'completed', 'failed'),
        5, '', '', 'z', '{}', NULL,
        iif(n % 100, NULL, 'no')
    FROM some
    """,
    "INSERT OR IGNORE INTO labels SELECT 'tag:all', id FROM jobs LIMIT ?",
    """
    INSERT OR IGNORE INTO labels SELECT 'key:9', id FROM jobs
    WHERE id IN ('00000009-0000-7000-8000-000000000000', '000003e8-0000-7000-8000-000000000000')
    LIMIT ?
    """,
)


def fill(file: JobFile, number: int) -> None:
    """As many jobs in all, of two types; every hundredth has failed, and the others completed."""
    for statement in FILL:
        file._db.execute(statement, [number])


def _steps(file: JobFile, wanted: JobFilter, *, newest_first: bool) -> int:
    """How many steps of its virtual machine SQLite takes for a page, in hundreds."""
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    file._db.set_progress_handler(count, 100)
    file.page(wanted, after=None, limit=20, newest_first=newest_first)
    file._db.set_progress_handler(None, 100)
    return hundreds


_WITHOUT_COUNTS = ("DROP TABLE finished_counts",)
_WITHOUT_SCHEDULES = (
    *_WITHOUT_COUNTS,
    "DROP TABLE schedules",
    "CREATE TABLE ticks (schedule TEXT PRIMARY KEY, at TEXT NOT NULL, job_id TEXT) STRICT",
)
_WITHOUT_GROUPS = ("DROP TABLE groups", "DROP TABLE group_definitions", *_WITHOUT_SCHEDULES)


def test_a_file_of_the_first_version_has_its_keys_found(tmp_path: Path) -> None:
    """Which were in the records only."""
    path = tmp_path / "jobs.db"
    with closing_file(path) as file:
        file.write(new(job(1, record='{"unique_key":"a b"}'), job(2, record="{}")))
        for change in (
            *_WITHOUT_GROUPS,
            "DROP TRIGGER labels_go_with_jobs",
            "DROP TABLE labels",
            "DROP INDEX jobs_by_error",
            "ALTER TABLE jobs DROP COLUMN error",
            "PRAGMA user_version = 1",
        ):
            file._db.execute(change)
    with closing_file(path) as file:
        page, edge = file.page(JobFilter(unique_key="a b"), after=None, limit=9, newest_first=False)
        assert ([row.id for row in page], edge) == ([job_id(1)], None)


def test_a_file_of_the_second_version_has_its_errors_found(tmp_path: Path) -> None:
    """Which were in the records only: that of the last attempt, or of a job that had none."""
    path = tmp_path / "jobs.db"
    records = (
        '{"attempts":[{"error":"first"},{"error":"Last É"}],"failure":"none"}',
        '{"failure":"LAST É"}',
        "{}",
    )
    with closing_file(path) as file:
        jobs = [job(n, "failed", finished=n, record=text) for n, text in enumerate(records)]
        file.write(new(*jobs))
        for change in (
            *_WITHOUT_GROUPS,
            "DROP INDEX jobs_by_error",
            "ALTER TABLE jobs DROP COLUMN error",
            "PRAGMA user_version = 2",
        ):
            file._db.execute(change)
    with closing_file(path) as file:
        wanted = JobFilter(error="last É")
        page, edge = file.page(wanted, after=None, limit=9, newest_first=False)
        assert ([row.id for row in page], edge) == ([job_id(0), job_id(1)], None)


def test_a_file_of_the_fourth_version_has_its_ticks_found(tmp_path: Path) -> None:
    """Each made the last job of its schedule, which nobody could pause then."""
    path = tmp_path / "jobs.db"
    with closing_file(path) as file:
        for change in (*_WITHOUT_SCHEDULES, "PRAGMA user_version = 4"):
            file._db.execute(change)
        file._db.execute("INSERT INTO ticks VALUES (?, ?, ?)", ["nightly", moment(1), job_id(1)])
    with closing_file(path) as file:
        kept = Schedule("nightly", moment(1), moment(1), job_id(1), None, None, None)
        assert file.schedules() == [kept]


def test_a_file_of_the_fifth_version_has_its_ended_jobs_counted(tmp_path: Path) -> None:
    """Once, by its first start with this version."""
    path = tmp_path / "jobs.db"
    with closing_file(path) as file:
        file.write(new(job(1), job(2, "completed", finished=3), job(3, "completed", finished=4)))
        for change in (*_WITHOUT_COUNTS, "PRAGMA user_version = 5"):
            file._db.execute(change)
    with closing_file(path) as file:
        assert file.finished_counts() == [FinishedCount("email", "completed", 2)]
        assert file.check() == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_page_of_long_records_is_short(
    file: JobFile, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on behind its last job, so all are found; one alone may be as long as it likes."""
    monkeypatch.setattr(job_file, "PAGE_CHARS", 1_000)
    lengths = (400, 400, 400, 5_000, 900, 900, 10, 10)
    file.write(new(*(job(n, record="x" * length) for n, length in enumerate(lengths))))
    pages = list[list[int]]()
    after: str | None = None
    while True:
        rows, after = file.page(JobFilter(), after=after, limit=9, newest_first=newest_first)
        pages.append([len(row.record) for row in rows])
        if after is None:
            break
    if newest_first:
        assert pages == [[10, 10, 900, 900], [5_000], [400, 400, 400]]
    else:
        assert pages == [[400, 400, 400], [5_000], [900, 900], [10, 10]]
