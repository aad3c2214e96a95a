"""The store in a file of SQLite: what it tells is kept, and survives the process."""

import math
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import trio
from msgspec import UNSET, structs

from job_service.errors import AlreadyFinished, NotFinished, StoreUnavailable, UnknownJob
from job_service.failures.report import describe
from job_service.jobs.state.attempt_transitions import release, rescue
from job_service.jobs.state.changes import CancelRequest, Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import why_unstarted
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    detail_of,
    summarize,
)
from job_service.jobs.state.model import TERMINAL, Draft, Ending, IllegalTransition, Job, Status
from job_service.jobs.state.transitions import fail_unstarted
from job_service.stores.commit import RETRY_AFTER_SECONDS, Act, CannotKeep, Committer
from job_service.stores.contract import KeyedRequest, Runner, Tick
from job_service.stores.idempotency import REMEMBERED_SECONDS
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.live_store import LiveStore, Nobody, draft_like, no_such_job
from job_service.stores.outbox import Outbox, abandonments, withdraw
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.housekeeping import keep_house, write_and_trim
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.lock import locked
from job_service.stores.sqlite.records import (
    Pause,
    Remembered,
    batch_of,
    job_of,
    remembered,
    summarized,
    text_of,
)
from job_service.stores.sqlite.recovery import PORTION, take_in
from job_service.stores.sqlite.schema import open_connection
from job_service.telemetry.events import (
    Event,
    JobMisfit,
    QueuePaused,
    QueueResumed,
    StoreOpened,
    StoreOpening,
)

CLOSING_SECONDS: Final = 2.0  # that the file has to be closed
AT_ONCE_SECONDS: Final = 1.0  # that a blocked service has to keep its last words
TELL_EVERY_SECONDS: Final = 1.0  # how far it is read

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore(LiveStore):
    """Keeps all jobs in one file, and those that have not ended in memory, too.

    Meaning and errors of all methods are those of `job_service.stores.contract.Store`.
    """

    is_durable = True

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
        clock = clock or Clock()
        self.name = f"sqlite:{path}"
        self._retain = retain
        self._retain_seconds = retain_seconds
        self._max_losses = max_losses
        self.kept_counts = KeptCounts()
        self._emit = emit
        self._outbox = Outbox(Nobody())
        super().__init__(
            self._outbox.emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=math.inf,  # in memory: what has ended leaves it when it is kept
            retain_bytes=math.inf,
        )
        self._live.runner = self._outbox
        self._outbox.find = self._jobs.get
        self._admission.find = self._find_predecessor
        self._looked_up: Mapping[str, Job | None] = {}
        self._keyed = set[str]()  # jobs that a request with a key has made, and that have not ended
        self._ticks: dict[str, Tick] = {}
        self._file = FileThread(partial(_open, path))
        self._committer = Committer(self._keep, self._tell, self._refuse, emit, clock)
        self._token: trio.lowlevel.TrioToken | None = None
        self._read_whole = trio.Event()

    @property
    def finished(self) -> int:
        return self.kept_counts.finished

    @property
    def trouble(self) -> str | None:
        return self._committer.trouble

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._token = trio.lowlevel.current_trio_token()
        await self._file.start()
        try:
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

    async def _keep_house(self) -> None:
        await self._read_whole.wait()
        await keep_house(self._file, self.kept_counts, self._emit, self.clock, self._retain_seconds)

    def attach(self, runner: Runner) -> None:
        self._runner = self._outbox.runner = runner

    async def recover(self) -> None:
        began = self.clock.monotonic()
        found = await take_in(self._file, self._live, self._tell_how_far(began))
        counts = await self._file.call(JobFile.counts)
        self.kept_counts.take_in(counts)
        await self._recover_words()
        self._say(
            StoreOpened(
                timestamp=self.clock.now(),
                store=self.name,
                jobs_pending=self.pending + self.processing,
                jobs_rescued=len(found.in_hand),
                jobs_finished=self.kept_counts.finished,
                open_seconds=round(self.clock.monotonic() - began, 6),
            )
        )
        for job in found.in_hand:
            self.kept_counts.rescued(job.type)
            self.apply(rescue(job, self.clock, self._max_losses))
        for job, failed in found.bereft:
            if job.status == "pending":  # it has not followed another one
                self.apply(fail_unstarted(job, why_unstarted(failed), self.clock))
        await self.settled()
        await self._recover_backlog()
        self._read_whole.set()

    async def _recover_words(self) -> None:
        """What clients and operators said before: keys of requests, pauses and ticks."""
        now = self.clock.now()
        keys, ends = await self._file.call(JobFile.keys, text_of(now))
        endings = {
            job_id: Ending(end.status, datetime.fromisoformat(end.finished_at))
            for job_id, end in ends.items()
        }
        for each in map(remembered, keys):
            seconds = (each.until - now).total_seconds()
            self._admission.remember(each.request, each.jobs, seconds, endings)
            self._keyed.update(job.id for job in each.jobs if job.id in self._jobs)
        for job_type in await self._file.call(JobFile.pauses):
            self._runner.pause(job_type or None)
            self._say(QueuePaused(timestamp=now, job_type=job_type or UNSET))
        for name, at, job_id in await self._file.call(JobFile.ticks):
            self._ticks[name] = Tick(name, datetime.fromisoformat(at), job_id)

    async def _recover_backlog(self) -> None:
        """Bring all jobs to the runner."""
        for number, job in enumerate(self._live.unfinished(), 1):
            why_unfit = self._runner.recover(job)
            if why_unfit is not None:
                self._say(
                    JobMisfit(
                        timestamp=self.clock.now(),
                        job_id=job.id,
                        job_type=job.type,
                        error=why_unfit,
                    )
                )
            if number % PORTION == 0:
                await trio.lowlevel.checkpoint()

    def _tell_how_far(self, began: float) -> Callable[[int], None]:
        told_at = began

        def tell(jobs: int) -> None:
            nonlocal told_at
            now = self.clock.monotonic()
            if now >= told_at + TELL_EVERY_SECONDS:
                told_at = now
                self._say(StoreOpening(timestamp=self.clock.now(), store=self.name, jobs_read=jobs))

        return tell

    # What the service does while it runs jobs.

    def apply(self, change: Change) -> None:
        act = self._outbox.begin()
        self._live.apply(change)
        if type(change) is CancelRequest:  # of which no event tells
            act.jobs[change.job.id] = change.job
        self._committer.add(act)

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        for job in self._live.unfinished():
            if job.status == "processing":
                try:
                    self.apply(release(job, job.attempts[-1], reason_of(job), self.clock))
                except IllegalTransition:  # the loop turns again, and has moved the job on
                    continue
        if self._token is not None and not _is_running(self._token):
            self._keep_at_once()

    async def settled(self) -> None:
        await self._committer.settled()

    def abandon_unkept(self) -> None:
        self._abandon(self._committer.close())

    # What clients ask for.

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        tick: Tick | None = None,
    ) -> Sequence[JobSummary]:
        await self._require_open()
        await self._look_up_predecessors(drafts)
        async with self._act() as act:
            act.is_submission = True
            jobs = self._once(act, request, lambda: self._admission.accept_all(drafts))
            if tick is not None:
                tick = self._ticks[tick.schedule] = tick._replace(job_id=jobs[0].id)
                act.beside.append(tick)
        return await self._as_they_are(jobs)

    async def run_again(self, job_id: str, request: KeyedRequest | None = None) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        async with self._act() as act:
            act.is_submission, draft = True, draft_like(job)
            jobs = self._once(act, request, lambda: self._admission.accept_all([draft]))
        return (await self._as_they_are(jobs))[0]

    async def cancel(self, job_id: str, reason: str) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id) or await self._read(job_id)
        if job.status in TERMINAL:
            await self._committer.kept()
            raise AlreadyFinished(summarize(job))
        self._call_off(job, reason)
        return await self._when_kept(self._detail(job))

    async def cancel_all(self, job_type: str, status: Status | None, reason: str) -> Cancellations:
        await self._require_open()
        return await self._when_kept(await self._call_off_all(job_type, status, reason))

    async def pause(self, job_type: str | None) -> QueueView:
        await self._require_open()
        async with self._act() as act:
            if self._runner.pause(job_type):
                act.beside.append(Pause(job_type, paused=True))
                self._outbox.emit(
                    QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET)
                )
        return self._view()

    async def resume(self, job_type: str | None) -> QueueView:
        await self._require_open()
        async with self._act() as act:
            if self._runner.resume(job_type):
                act.beside.append(Pause(job_type, paused=False))
                self._outbox.emit(
                    QueueResumed(timestamp=self.clock.now(), job_type=job_type or UNSET)
                )
        return self._view()

    async def get(self, job_id: str) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return detail_of(await self._read(job_id))
        return await self._when_kept(self._detail(job))

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return detail_of(await self._read(job_id))
        with trio.move_on_after(seconds):
            await self._live.ending_of(job).wait()
        return await self._when_kept(self._detail(job))

    async def page(
        self,
        *,
        status: Status | None,
        job_type: str | None,
        after: str | None,
        limit: int,
        newest_first: bool,
    ) -> list[JobSummary]:
        await self._require_open()
        page = await self.ask(
            JobFile.page,
            status=status,
            job_type=job_type,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )
        return [self._with_progress(summarize(summarized(row))) for row in page]

    async def view(self) -> QueueView:
        await self._require_open()
        return await self._when_kept(self._view())

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await self._require_open()
        await trio.lowlevel.checkpoint()
        return self.kept_counts.all()

    def last_ticks(self) -> Mapping[str, Tick]:
        return self._ticks

    # How acts are kept and told.

    def _say(self, event: Event) -> None:
        self.kept_counts.observe(event)
        self._emit(event)

    @asynccontextmanager
    async def _act(self) -> AsyncIterator[Act]:
        """What the block does is one act. It is kept and told when the block has been left."""
        act = self._outbox.begin()
        try:
            yield act
        except BaseException:
            self._committer.add(act)  # which has no more than events of what was turned away
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        self._committer.add(act)
        await self._committer.kept()

    async def _keep(self, acts: Sequence[Act]) -> None:
        try:
            trimmed = await self._file.call(
                write_and_trim, batch_of(acts, self._keyed), self._retain
            )
        except sqlite3.Error as error:
            raise CannotKeep(describe(error)) from error
        for job_type, status, jobs in trimmed:
            self.kept_counts.add(job_type, status, -jobs)
        self._runner.hold(None)

    def _tell(self, act: Act) -> None:
        for told in act.told:
            if isinstance(told, tuple):
                told[0](*told[1:])
            else:
                self._say(told)
        for job in act.ended:
            self._live.index.drop(job)
            self._keyed.discard(job.id)

    def _refuse(self, acts: deque[Act]) -> None:
        self._runner.hold("the store can't keep anything now")
        for undone in withdraw(acts, self._live):
            if isinstance(undone, Remembered):
                self._admission.forget(undone.request.key)

    def _keep_at_once(self) -> None:
        """From another thread, while the loop is blocked."""
        acts = self._committer.take_over()
        batch = batch_of(acts, self._keyed)
        try:
            self._file.call_at_once(lambda file: file.write(batch), AT_ONCE_SECONDS)
        except (sqlite3.Error, TimeoutError):
            self._abandon(acts)
            return
        for act in acts:
            for told in act.told:
                if not isinstance(told, tuple):  # the runner has nothing to run any more
                    self._say(told)

    def _abandon(self, acts: Iterable[Act]) -> None:
        reason = "store_closed" if self.trouble is None else "store_failing"
        for event in abandonments(acts, reason, self.clock.now()):
            self._say(event)

    async def _require_open(self) -> None:
        """Raise StoreUnavailable if nothing can be kept now."""
        try:
            if not self._read_whole.is_set():
                raise StoreUnavailable("the store is still being read", RETRY_AFTER_SECONDS)
            self._committer.require_no_trouble()
        except StoreUnavailable:
            await trio.lowlevel.checkpoint()
            raise
        await trio.lowlevel.checkpoint_if_cancelled()

    async def _when_kept(self, answer: T) -> T:
        await self._committer.kept()
        return answer

    async def ask(
        self, question: Callable[Concatenate[JobFile, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the file says. Raises StoreUnavailable if it can't be read."""
        try:
            return await self._file.call(question, *args, **kwargs)
        except sqlite3.Error as error:
            why = f"the store can't be read now: {describe(error)}"
            raise StoreUnavailable(why, RETRY_AFTER_SECONDS) from error

    async def _read(self, job_id: str) -> Job:
        """A job that has ended. Raises UnknownJob."""
        kept = await self.ask(JobFile.get, job_id)
        if kept is None:
            raise UnknownJob(no_such_job(job_id))
        return job_of(kept)

    # How submissions become jobs.

    def _once(
        self,
        act: Act,
        request: KeyedRequest | None,
        accept: Callable[[], Sequence[JobSummary]],
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was requested before."""
        if request is None:
            return accept()
        known = self._admission.recall(request)
        if known is None:
            known = accept()
            self._admission.remember(request, known)
            until = self.clock.now() + timedelta(seconds=REMEMBERED_SECONDS)
            act.beside.append(Remembered(request, known, until))
            self._keyed.update(job.id for job in known if job.finished_at is None)
        return known

    async def _as_they_are(self, jobs: Sequence[JobSummary]) -> Sequence[JobSummary]:
        """The jobs, of which those that were made before may have ended since."""
        ended = [job.id for job in jobs if job.replayed and job.id not in self._jobs]
        if not ended:
            return jobs
        rows = await self.ask(JobFile.summaries, ended)
        return [
            structs.replace(
                summarize(summarized(rows[job.id])), replayed=True, duplicate=job.duplicate
            )
            if job.id in rows
            else job
            for job in jobs
        ]

    async def _look_up_predecessors(self, drafts: Sequence[Draft]) -> None:
        """Read those jobs to come after that have ended; admission finds them after this."""
        looked_up = dict[str, Job | None]()
        wanted = {job_id for draft in drafts for job_id in draft.after}
        while missing := [
            each for each in wanted if each not in self._jobs and each not in looked_up
        ]:
            looked_up.update(dict.fromkeys(missing))
            rows = await self.ask(JobFile.summaries, missing)
            looked_up.update((job_id, summarized(row)) for job_id, row in rows.items())
        self._looked_up = looked_up

    def _find_predecessor(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id) or self._looked_up.get(job_id)

    def _with_progress(self, summary: JobSummary) -> JobSummary:
        job = self._jobs.get(summary.id)
        if job is None or job.meter is None or summary.status != "processing":
            return summary
        return structs.replace(summary, progress=job.meter.latest)


@contextmanager
def _open(path: Path) -> Iterator[JobFile]:
    with locked(path), closing(open_connection(path)) as connection:
        yield JobFile(connection)


def _is_running(token: trio.lowlevel.TrioToken) -> bool:
    """Whether this is the thread of the loop that this token is of."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
