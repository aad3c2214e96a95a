"""Keeps the file small: deletes what is too old or too much, and empties the log of changes."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import trio

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.group import MAX_ENDED_GROUPS
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import IN_ONE_GO, CannotTrim, JobFile
from job_service.stores.sqlite.records import text_of
from job_service.stores.sqlite.rows import Batch, FinishedCount

EVERY_SECONDS: Final = 60.0


class Kept(NamedTuple):
    """A batch is kept. What was deleted to make room for it, or why that failed."""

    trimmed: Sequence[FinishedCount] = ()
    error: BaseException | None = None


def write_and_trim(file: JobFile, batch: Batch, retain: int) -> Kept:
    """Keep a batch, and delete what finished first if that is more than `retain` jobs.

    Raises sqlite3.Error if the batch is not kept.
    """
    try:
        return Kept(file.write(batch, retain))
    except CannotTrim as error:  # the next batch tries it again
        file.write(batch)
        return Kept(error=error.__cause__)


async def keep_house(
    file: FileThread,
    counts: KeptCounts,
    note_failure: Callable[[sqlite3.Error], None],
    clock: Clock,
    retain_seconds: float | None,
) -> None:
    """Delete what is too old, now and then, until cancelled. What fails is tried again later."""
    while True:
        await trio.sleep(EVERY_SECONDS)
        try:
            if retain_seconds is not None:
                before = clock.now() - timedelta(seconds=retain_seconds)
                await _trim(file, counts, text_of(before))
            await file.call(JobFile.forget_keys, text_of(clock.now()))
            await file.call(JobFile.forget_groups, MAX_ENDED_GROUPS)
            await file.call(JobFile.checkpoint)
        except sqlite3.Error as error:
            note_failure(error)


async def _trim(file: FileThread, counts: KeptCounts, finished_before: str) -> None:
    """Delete jobs that finished before a time, portion by portion."""
    deleted = IN_ONE_GO
    while deleted == IN_ONE_GO:
        trimmed = await file.call(JobFile.trim, finished_before, IN_ONE_GO)
        for job_type, status, jobs in trimmed:
            counts.add(job_type, status, -jobs)
        deleted = sum(each.jobs for each in trimmed)
