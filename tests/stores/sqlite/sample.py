"""Rows to keep, and a file to keep them in."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from job_service.jobs.state.model import Status
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import Batch, FinishedCount, JobRow


@contextmanager
def closing_file(path: Path) -> Iterator[JobFile]:
    """The file at `path`, which is made if there is none."""
    file = JobFile.open(path)
    try:
        yield file
    finally:
        file.close()


def moment(second: int) -> str:
    """A time, as the file has it: so many seconds after some midnight."""
    minute, second = divmod(second, 60)
    return f"2026-01-01T00:{minute:02}:{second:02}.000000Z"


def job(
    number: int,
    status: Status = "pending",
    *,
    job_type: str = "email",
    finished: int | None = None,
    record: str = "{}",
    result: str | None = None,
) -> JobRow:
    """The job of this number, which is the order of their ids, too."""
    return JobRow(
        job_id(number),
        job_type,
        status,
        5,
        moment(number),
        moment(number),
        None if finished is None else moment(finished),
        record,
        result,
    )


def job_id(number: int) -> str:
    """The id of the job of this number."""
    return f"job-{number:04}"


def new(*jobs: JobRow) -> Batch:
    """What keeps these jobs for the first time; the payload of each is its id."""
    return Batch(
        list(jobs),
        [(row.id, f'"{row.id}"') for row in jobs],
        ended=ends_of(jobs),
    )


def ends_of(jobs: Iterable[JobRow]) -> list[FinishedCount]:
    """How many of these have ended, by type and status."""
    ended = Counter((row.type, row.status) for row in jobs if row.finished_at is not None)
    return [FinishedCount(*kind, number) for kind, number in ended.items()]
