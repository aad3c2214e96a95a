"""What is written can be read back, in whole transactions."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import (
    Batch,
    FinishedCount,
    KeptJob,
    KeyedEnd,
    KeyRow,
    RememberedKeys,
    Schedule,
)
from tests.stores.sqlite.sample import closing_file, job, job_id, moment, new


def finished(file: JobFile) -> int:
    """How many jobs have ended."""
    return sum(each.jobs for each in file.finished_counts())


def test_a_job_comes_back_as_it_was_written(file: JobFile) -> None:
    """With its payload, its record and its result, whatever texts those are."""
    text = '"\\u0000 \' \\" ä 🎉"'
    record, payload, result = f"[1, {text}]", f"[2, {text}]", f"[3, {text}]"
    row = job(1, "completed", job_type="a 'type' ä", finished=2, record=record, result=result)
    file.write(Batch([row], [(row.id, payload)]))
    assert file.get(row.id) == KeptJob(
        row.id, "completed", record.encode(), payload.encode(), result.encode()
    )
    assert file.get("unknown") is None
    assert file.summaries([row.id, "unknown"]) == {row.id: row._replace(result=None)}
    assert file.statuses([row.id, "unknown"]) == {row.id: "completed"}


def test_a_change_needs_no_payload(file: JobFile) -> None:
    """A job keeps the one that it was made with."""
    file.write(new(job(1)))
    changed = job(1, "completed", finished=2, record="[1]", result="[2]")
    changed = changed._replace(run_at=moment(9))
    file.write(Batch([changed]))
    assert file.get(job_id(1)) == KeptJob(job_id(1), "completed", b"[1]", b'"job-0001"', b"[2]")
    assert file.summaries([job_id(1)]) == {job_id(1): changed._replace(result=None)}


@pytest.mark.parametrize("jobs", [0, 1, 7, 8, 65, 137])
def test_a_batch_may_be_written_again(jobs: int, file: JobFile) -> None:
    """Whoever does not know whether it was kept may repeat it, whatever is in it."""
    rows = [job(number, "completed", finished=number) for number in range(jobs)]
    batch = Batch(
        rows,
        new(*rows).payloads,
        [KeyRow(f"key {row.id}", b"\0digest", moment(500), "[]") for row in rows],
        [KeyedEnd(row.id, "completed", moment(2)) for row in rows],
        [("email", True), ("", True)],
        [
            Schedule(f"every {row.id}", moment(3), moment(4), row.id, moment(5), "ada", moment(2))
            for row in rows
        ],
    )
    file.write(batch)
    for _ in range(2):
        assert file.counts() == ({"email": {"completed": jobs}} if jobs else {})
        assert file.keys(moment(0)) == RememberedKeys(
            batch.keys, {end.job_id: end for end in batch.keyed_ends}
        )
        assert sorted(file.pauses()) == ["", "email"]
        assert file.schedules() == batch.schedules
        assert file.check() == []
        file.write(batch)


def test_a_batch_is_kept_as_a_whole_or_not_at_all(file: JobFile) -> None:
    """If anything of it can't be written, nothing is, and the file can be used on."""
    file.write(new(job(1)))
    broken: Any = new(*[job(number) for number in range(2, 100)], job(1, "failed", finished=9))
    broken.keys.append(KeyRow("key", None, moment(1), "[]"))  # type: ignore[arg-type]  # refused
    with pytest.raises(sqlite3.IntegrityError):
        file.write(broken)
    assert file.counts() == {"email": {"pending": 1}}
    file.write(new(job(2)))
    assert file.counts() == {"email": {"pending": 2}}


def test_a_full_disk_loses_nothing(path: Path) -> None:
    """What could not be written can be, as soon as there is room again."""
    with closing_file(path) as file:
        file.write(new(job(1)))
        big = Batch([job(2)], [(job_id(2), '"' + "x" * 1_000_000 + '"')])
        file._db.execute("PRAGMA max_page_count = 100")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            file.write(big)
        assert file.counts() == {"email": {"pending": 1}}
        file._db.execute("PRAGMA max_page_count = 10000")
        file.write(big)
    with closing_file(path) as file:
        assert file.counts() == {"email": {"pending": 2}}
        assert file.check() == []


def test_all_that_has_not_ended_is_read_in_portions(file: JobFile) -> None:
    """The oldest first, whatever its status and type."""
    rows = [
        job(number, ("pending", "processing")[number % 2], job_type=f"type {number % 3}")
        for number in range(25)
    ]
    file.write(new(*reversed(rows), job(25, "completed", finished=30)))
    portions = list(file.unfinished(10))
    assert [len(portion) for portion in portions] == [10, 10, 5]
    assert [kept for portion in portions for kept in portion] == [
        KeptJob(row.id, row.status, row.record.encode(), f'"{row.id}"'.encode(), None)
        for row in rows
    ]


def test_a_page_reads_no_more_than_it_shows(file: JobFile) -> None:
    """For any filter the index is searched, and never read from end to end."""
    plans = list[str]()

    def explain(statement: str) -> None:
        if "FROM jobs" in statement:
            plan = file._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            plans.extend(row[3] for row in plan)

    file.write(new(*[job(number) for number in range(10)]))
    statements = list[str]()
    file._db.set_trace_callback(statements.append)
    of_none, of_one = JobFilter(), JobFilter(statuses=("pending",))
    for some in (of_none, of_one):
        for job_type in (None, "email"):
            for newest_first in (False, True):
                wanted = structs.replace(some, types=() if job_type is None else (job_type,))
                page, _ = file.page(wanted, after=job_id(5), limit=3, newest_first=newest_first)
                numbers = (4, 3, 2) if newest_first else (6, 7, 8)
                assert [row.id for row in page] == [job_id(number) for number in numbers]
    file._db.set_trace_callback(None)
    for statement in statements:
        explain(statement)
    assert any("jobs_by_status (status=? AND type=? AND id" in plan for plan in plans)
    assert not [plan for plan in plans if plan.startswith("SCAN jobs")]


def test_no_start_looks_at_jobs_that_have_ended(path: Path) -> None:
    """How many there are is kept with them."""

    taken = 0

    def take() -> int:
        nonlocal taken
        taken += 1
        return 0

    def steps() -> int:
        nonlocal taken
        taken = 0
        with closing_file(path) as file:
            file._db.set_progress_handler(take, 1)
            file.finished_counts()
            assert len(list(file.unfinished())) == 1
            file._db.set_progress_handler(None, 1)
        return taken

    with closing_file(path) as file:
        file.write(new(job(0), job(1, "failed", finished=1)))
    few = steps()
    with closing_file(path) as file:
        file.finished_counts()
        file.write(new(*[job(number, "failed", finished=1) for number in range(2, 2_000)]))
    assert steps() == few


def test_what_is_written_again_is_counted_once(file: JobFile) -> None:
    """After an error nobody knows whether a batch was kept."""
    batch = new(job(1, "completed", finished=2))
    file.write(batch)
    broken: Any = new(job(2, "completed", finished=3))
    broken.keys.append(KeyRow("key", None, moment(1), "[]"))  # type: ignore[arg-type]  # refused
    with pytest.raises(sqlite3.IntegrityError):
        file.write(broken)
    file.write(batch)
    assert finished(file) == 1
    assert file.check() == []


def test_what_a_blocked_end_writes_once_more_is_counted_once(file: JobFile) -> None:
    """Then nobody knows whether the file has it already, and no error has said so."""
    batch = new(job(1, "completed", finished=2))
    file.write(batch)
    file.write_at_once(batch)
    assert file.check() == []
    assert finished(file) == 1
    assert file.check() == []


def test_what_is_still_to_be_counted_is_sound(path: Path) -> None:
    """As in a file of an older version, and if an operator has asked for it."""
    with closing_file(path) as file:
        file.write(new(job(1, "completed", finished=2)))
        file._db.execute("DELETE FROM finished_counts")
        assert file.check() == []
        assert finished(file) == 1


def test_the_oldest_ends_are_trimmed_first(file: JobFile) -> None:
    """By number with what is written, and by age a bounded number at a time."""
    ends = (5, 1, 3, 2, 4)
    file.write(new(*[job(number, "failed", finished=end) for number, end in enumerate(ends)]))
    file.write(new(job(10)))
    assert finished(file) == 5
    assert file.trim(moment(1), 100) == []
    assert file.write(Batch(), retain=5) == []
    assert file.write(Batch(), retain=4) == [FinishedCount("email", "failed", 1)]
    assert file.get(job_id(1)) is None
    assert file.trim(moment(4), 1) == [FinishedCount("email", "failed", 1)]
    assert file.get(job_id(3)) is None
    assert file.trim(moment(5), 100) == [FinishedCount("email", "failed", 2)]
    assert list(file.statuses([job_id(number) for number in range(11)])) == [
        job_id(0),
        job_id(10),
    ]
    file.write(new(job(11, "cancelled", finished=6)))
    assert finished(file) == 2
    assert file.write(Batch(), retain=0) == [
        FinishedCount("email", "cancelled", 1),
        FinishedCount("email", "failed", 1),
    ]
    assert finished(file) == 0
    assert file.counts() == {"email": {"pending": 1}}
    assert file.check() == [], "payloads go with their jobs"


def test_a_keyed_end_outlives_its_job(file: JobFile) -> None:
    """It is known for as long as any key may tell of it, and no longer."""
    end = KeyedEnd(job_id(1), "completed", moment(2))
    first = KeyRow("first", b"1", moment(100), "[]")
    later = KeyRow("later", b"2", moment(200), "[]")
    batch = new(job(1, "completed", finished=2))
    file.write(Batch(batch.jobs, batch.payloads, [later, first], [end]))
    file.write(Batch(), retain=0)
    assert file.keys(moment(50)) == RememberedKeys([first, later], {end.job_id: end})
    assert file.keys(moment(100)) == RememberedKeys([later], {end.job_id: end})
    file.forget_keys(moment(100))
    assert file.keys(moment(0)) == RememberedKeys([later], {end.job_id: end})
    file.forget_keys(moment(200))
    assert file.keys(moment(0)) == RememberedKeys([], {})


def test_an_end_that_no_key_tells_of_is_not_kept(file: JobFile) -> None:
    """Its key was forgotten before the job had ended."""
    file.write(Batch(keyed_ends=[KeyedEnd(job_id(1), "failed", moment(1))]))
    assert file.keys(moment(0)) == RememberedKeys([], {})


def test_pauses_and_schedules_are_what_was_said_last(path: Path) -> None:
    """Also in the next process."""
    before = Schedule("a", moment(1), moment(1), "x", moment(2), "ada", None)
    after = Schedule("a", moment(1), moment(3), "y", None, None, moment(3))
    with closing_file(path) as file:
        file.write(Batch(pauses=[("", True), ("email", True)], schedules=[before]))
        file.write(Batch(pauses=[("", False), ("sms", False)], schedules=[before, after]))
    with closing_file(path) as file:
        assert file.pauses() == ["email"]
        assert file.schedules() == [after]


def test_a_checkpoint_empties_the_write_ahead_log(file: JobFile, path: Path) -> None:
    """What was in it is in the file then."""
    file.write(new(job(1)))
    log = Path(f"{path}-wal")
    assert log.stat().st_size > 0
    file.checkpoint()
    assert log.stat().st_size == 0
    assert file.counts() == {"email": {"pending": 1}}


def test_a_small_change_of_a_job_does_not_write_its_payload_again(
    file: JobFile, path: Path
) -> None:
    """A retry of a job with a megabyte costs as much as any other."""
    file.write(Batch([job(1)], [(job_id(1), '"' + "x" * 1_000_000 + '"')]))
    file.checkpoint()
    file.write(Batch([job(1, "processing")]))
    assert Path(f"{path}-wal").stat().st_size < 100_000
