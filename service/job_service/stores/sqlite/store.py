"""The store in a file of SQLite: what it tells is kept, and survives the process."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import trio
from msgspec import UNSET, structs

from job_service.errors import StoreRefused, StoreUnavailable, UnknownGroup, UnknownJob
from job_service.failures.report import describe
from job_service.jobs.state.attempt_transitions import rescue
from job_service.jobs.state.changes import Change, Start
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import why_unstarted
from job_service.jobs.state.detail import EXCERPT_CHARS, JobSummary, summarize
from job_service.jobs.state.job_filter import JobFilter, JobPage, page_of
from job_service.jobs.state.model import Job
from job_service.jobs.state.transitions import fail_unstarted
from job_service.stores.commit import STALLED_SECONDS, CannotKeep
from job_service.stores.contract import Excerpt
from job_service.stores.group_store import KeptGroup
from job_service.stores.live_store import no_such_group, no_such_job
from job_service.stores.sole_store import SoleStore
from job_service.stores.sqlite.connection import refusal
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.housekeeping import keep_house, write_and_trim
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.lock import locked
from job_service.stores.sqlite.records import (
    batch_of,
    group_of,
    readable,
    stands_for,
    summarized,
)
from job_service.stores.sqlite.recovery import bring_back, how_far, take_in, take_in_groups
from job_service.stores.sqlite.said_before import (
    kept_schedules,
    recover_keys,
    recover_pauses,
    tell_unreadable,
)
from job_service.stores.sqlite.start_log import MOST_UNKEPT, StartLog
from job_service.stores.unit_of_work import UnitOfWork
from job_service.telemetry.events import (
    Event,
    StoreBackedUp,
    StoreFailed,
    StoreOpened,
)

P = ParamSpec("P")
T = TypeVar("T")

CLOSING_SECONDS: Final = 2.0  # that the file has to be closed
AT_ONCE_SECONDS: Final = 1.0  # that a blocked service has to keep its last words


class SqliteStore(SoleStore):
    """Keeps all jobs in one file: at most `retain` that have ended, for up to `retain_seconds`.

    A job in hand whose process dies `max_losses` times fails, if it was alone the last time.
    Meaning and errors of all methods are those of `job_service.stores.contract.Store`.
    """

    def __init__(
        self,
        path: Path,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: int,
        retain_seconds: float | None = None,
        max_losses: int = 3,
    ) -> None:
        super().__init__(emit, clock or Clock(), capacity=capacity, capacity_bytes=capacity_bytes)
        self._path = path
        self.name = f"sqlite:{path}"
        self._retain = retain
        self._retain_seconds = retain_seconds
        self._max_losses = max_losses
        self._file = FileThread(partial(_open, path))
        self._backup_lock = trio.Lock()

    @property
    def trouble(self) -> str | None:
        if self._file.seconds_in_call > STALLED_SECONDS:
            self._committer.try_out()  # a commit finds out whether the disk answers at all
        return super().trouble

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._token = trio.lowlevel.current_trio_token()
        await self._file.start()
        try:
            starts = await self._file.call(lambda _: StartLog.open(self._path))
            with closing(starts) as self._starts:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._committer.run)
                    nursery.start_soon(self._keep_house)
                    try:
                        yield
                    finally:
                        nursery.cancel_scope.cancel()
        finally:
            self._committer.close()
            await self._file.close(CLOSING_SECONDS)

    def _apply_in(self, unit: UnitOfWork, change: Change) -> None:
        super()._apply_in(unit, change)
        # That of a recovered job is kept before its handler is called.
        if type(change) is Start and not change.job.is_recovered:
            try:
                self._starts.add(change.job.id, change.attempt)
            except OSError as error:  # it is kept with the next commit, if not before it begins
                self._note_failure(error)
            if self._starts.begun - self._starts.kept > MOST_UNKEPT:
                self._runner.hold("what was done before it is still to be written to the disk")

    async def recover(self) -> None:
        try:
            await self._recover()
        except sqlite3.DatabaseError as error:
            raise StoreRefused(refusal(self._path, error)) from None
        except OSError as error:
            raise StoreRefused(f"can't read {self._path}-starts: {error.strerror}") from None

    async def _recover(self) -> None:
        began = self.clock.monotonic()
        unreadable = tell_unreadable(self._say, self.clock, self.name)
        unreadable("groups", await take_in_groups(self._file, self._live))
        tell = how_far(self._say, self.clock, self.name)
        found = await take_in(self._file, self._live, self._starts.read(), tell)
        for job_type, jobs in found.waiting.items():
            self._kept_counts.add(job_type, "pending", jobs)
        for job_type, status, jobs in await self._file.call(JobFile.finished_counts):
            self._kept_counts.add(job_type, status, jobs)
        await recover_keys(self._file, self._submissions, self.clock, unreadable)
        await recover_pauses(self._file, self._runner, self._say, self.clock)
        for state in await kept_schedules(self._file, self.clock, unreadable):
            self._note_schedule(state)
        self._say(
            StoreOpened(
                timestamp=self.clock.now(),
                store=self.name,
                jobs_pending=self.pending + self.processing,
                jobs_rescued=len(found.in_hand),
                jobs_finished=self._kept_counts.finished,
                open_seconds=round(self.clock.monotonic() - began, 6),
            )
        )
        was_alone = len(found.in_hand) + found.unreadable_in_hand == 1
        for job in found.in_hand:
            self.apply(rescue(job, self.clock, self._max_losses, was_alone=was_alone))
        for job, failed in found.bereft:
            if job.status == "pending":  # it has not followed another one
                self.apply(fail_unstarted(job, why_unstarted(failed), self.clock))
        await self.settled()
        await bring_back(self._live, self._runner, self._say, self.clock)
        self._read_whole.set()

    async def page(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> JobPage:
        await self._require_open()
        rows, edge = await self._ask(
            JobFile.page, wanted, after=after, limit=limit + 1, newest_first=newest_first
        )
        jobs = [self._with_progress(summarize(summarized(row))) for row in rows]
        return page_of(jobs, limit, edge)

    async def excerpts(self, ids: Sequence[str]) -> Mapping[str, Excerpt]:
        await self._require_open()
        starts = await self._ask(JobFile.payload_starts, ids, EXCERPT_CHARS)
        in_file = {job_id: Excerpt(start) for job_id, start in starts.items()}
        return in_file | await self._excerpts_of_live(ids)

    async def back_up(self, destination: Path, by: str | None = None) -> int:
        await self._require_open()
        async with self._backup_lock:
            size = await self._ask(JobFile.backup, destination, self._file.do_what_waits)
        self._say(
            StoreBackedUp(
                timestamp=self.clock.now(), path=str(destination), bytes=size, by=by or UNSET
            )
        )
        return size

    async def _write(self, units: Sequence[UnitOfWork]) -> None:
        batch = batch_of(units, self._submissions.keyed)
        begun = self._starts.begun if len(units) == self._committer.line else self._starts.kept
        try:
            kept = await self._file.call(write_and_trim, batch, self._retain)
        except sqlite3.Error as error:
            raise CannotKeep(describe(error)) from error
        self._starts.kept = begun
        if kept.error is not None:
            self._note_failure(kept.error)
        for job_type, status, jobs in kept.trimmed:
            self._kept_counts.add(job_type, status, -jobs)

    def _write_at_once(self, units: Sequence[UnitOfWork]) -> None:
        batch = batch_of(units, self._submissions.keyed)
        try:
            self._file.call_at_once(lambda file: file.write_at_once(batch), AT_ONCE_SECONDS)
        except (sqlite3.Error, TimeoutError) as error:
            raise CannotKeep(describe(error)) from error

    async def _read(self, job_id: str) -> Job:
        """A job that has ended. Raises UnknownJob."""
        kept = await self._ask(JobFile.get, job_id)
        jobs, failures = readable([kept] if kept is not None else [])
        if failures:
            for row in await self._ask(JobFile.beside_records, [job_id]):
                jobs[job_id] = stands_for(row, failures[job_id])
        if job_id not in jobs:
            raise UnknownJob(no_such_job(job_id))
        return jobs[job_id]

    async def _read_some(self, ids: Collection[str]) -> dict[str, Job]:
        rows = await self._ask(JobFile.summaries, list(ids))
        return {job_id: summarized(row) for job_id, row in rows.items()}

    async def _read_ended_group(self, group_id: str) -> KeptGroup:
        kept = await self._ask(JobFile.group, group_id)
        if kept is None:
            raise UnknownGroup(no_such_group(group_id))
        try:
            return KeptGroup(*group_of(kept))
        except ValueError as error:
            why = f"group {group_id} is kept, but can't be read: {error}"
            raise UnknownGroup(why) from None

    async def _unsuccessful(self, group_id: str) -> Sequence[Job]:
        jobs, _ = readable(await self._ask(JobFile.unsuccessful, group_id))
        return list(jobs.values())

    async def _ask(
        self, question: Callable[Concatenate[JobFile, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the file says. Raises StoreUnavailable if it can't be read."""
        try:
            return await self._file.call(question, *args, **kwargs)
        except sqlite3.Error as error:
            self._note_failure(error)
            why = f"the store can't be read now: {describe(error)}"
            raise StoreUnavailable(why) from error

    def _note_failure(self, error: BaseException) -> None:
        """Something other than a commit has failed: find out whether commits fail, too."""
        self._emit(StoreFailed(timestamp=self.clock.now(), error=describe(error)))
        self._committer.try_out()

    async def _keep_house(self) -> None:
        await self._read_whole.wait()
        await keep_house(
            self._file, self._kept_counts, self._note_failure, self.clock, self._retain_seconds
        )

    def _with_progress(self, summary: JobSummary) -> JobSummary:
        job = self._jobs.get(summary.id)
        if job is None or job.meter is None or summary.status != "processing":
            return summary
        return structs.replace(summary, progress=job.meter.latest)


@contextmanager
def _open(path: Path) -> Iterator[JobFile]:
    with locked(path), closing(JobFile.open(path)) as file:
        yield file
