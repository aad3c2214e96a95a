"""Keeps the file small: deletes what is too old or too much, and empties the log of changes."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import trio

from job_service.failures.report import describe
from job_service.jobs.state.clock import Clock
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import text_of
from job_service.telemetry.events import Event, StoreFailed

LOOK_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0
_IN_ONE_GO: Final = 500  # jobs: commits wait while they are deleted


async def keep_house(
    file: FileThread,
    counts: KeptCounts,
    emit: Callable[[Event], None],
    clock: Clock,
    retain: int,
    retain_seconds: float | None,
) -> None:
    """Do so now and then, until cancelled. What fails is tried again the next time."""
    forget_at = -FORGET_SECONDS
    while True:
        await trio.sleep(LOOK_SECONDS)
        try:
            await _trim(file, counts, retain, None)
            if clock.monotonic() < forget_at:
                continue
            forget_at = clock.monotonic() + FORGET_SECONDS
            if retain_seconds is not None:
                before = clock.now() - timedelta(seconds=retain_seconds)
                await _trim(file, counts, None, text_of(before))
            await file.call(JobFile.forget_keys, text_of(clock.now()))
            await file.call(JobFile.checkpoint)
        except sqlite3.Error as error:
            emit(StoreFailed(timestamp=clock.now(), error=describe(error)))


async def _trim(
    file: FileThread, counts: KeptCounts, keep: int | None, finished_before: str | None
) -> None:
    """Delete finished jobs, portion by portion, beyond so many or from before a time."""
    while finished_before is not None or (keep is not None and counts.finished > keep):
        trimmed = await file.call(
            JobFile.trim, keep=keep, finished_before=finished_before, at_most=_IN_ONE_GO
        )
        for job_type, status, jobs in trimmed:
            counts.add(job_type, status, -jobs)
        if sum(each.jobs for each in trimmed) < _IN_ONE_GO:
            return
