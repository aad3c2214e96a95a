"""The store in PostgreSQL: what it tells is kept there, and any number of processes share it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import trio
from msgspec import UNSET

from job_service.errors import (
    AlreadyFinished,
    BackupRefused,
    JobChanged,
    JobServiceError,
    NotFinished,
    NotPending,
    StoreUnavailable,
)
from job_service.jobs.state.detail import JobDetail, JobSummary, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.model import TERMINAL, Draft, Edit
from job_service.jobs.state.schedule_state import ScheduleChange
from job_service.jobs.state.stand_in import require_readable
from job_service.jobs.state.views import QueueView
from job_service.stores.contract import KeyedRequest
from job_service.stores.live_store import draft_like, require_version
from job_service.stores.postgres.awaited import EVERY_SECONDS
from job_service.stores.postgres.calling_off import CallOff, CallOffExpected
from job_service.stores.postgres.editing import EditElsewhere
from job_service.stores.postgres.group_keeper import GroupKeeper
from job_service.stores.postgres.schedules import ChangeSchedule
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.sweeper import Sweeper
from job_service.stores.unit_of_work import Pause
from job_service.telemetry.events import QueuePaused, QueueResumed

WORD_SECONDS: Final = 1.0  # that the process that holds a job has to call it off


class PostgresStore(GroupKeeper, Sweeper):
    """Keeps all jobs in a database: at most `retain` that have ended, for up to `retain_seconds`.

    A job in hand whose process dies `max_losses` times fails, if it was alone the last time.
    Meaning and errors of all methods are those of `job_service.stores.contract.Store`.
    """

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        await self._require_open()
        submission = Submission(drafts, request, schedule, not_since, group)
        await self._ask(submission)
        if submission.refusal is not None:
            raise submission.refusal
        if submission.state is not None:
            self._note_schedule(submission.state)
        return [self._with_progress(job) for job in submission.jobs]

    async def run_again(
        self, job_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> JobSummary:
        await self._require_open()
        job = self._jobs.get(job_id) or (await self._find(job_id)).job
        if job.status not in TERMINAL:
            await self._committer.kept()
            raise NotFinished(summarize(job))
        require_readable(job)
        return (await self.submit([draft_like(job, by)], request))[0]

    async def cancel(
        self,
        job_id: str,
        reason: str,
        by: str | None = None,
        expected: Collection[str] | None = None,
    ) -> JobDetail:
        await self._require_open()
        job = self._jobs.get(job_id)
        if job is None:
            return await self._cancel_elsewhere(job_id, reason, by, expected)
        try:
            self._cancel(job, reason, by, expected)
        except JobServiceError:
            await self._committer.kept()  # which the error may tell of
            raise
        return await self._when_kept(self._detail(job))

    async def edit(self, job_id: str, wanted: Edit) -> JobDetail:
        await self._require_open()
        if job_id in self._given:
            await self._committer.kept()
        job = self._jobs.get(job_id)
        if job is None:
            return await self._edit_elsewhere(job_id, wanted)
        try:
            self._edit(job, wanted)
        except JobServiceError:
            await self._committer.kept()  # which the error may tell of
            raise
        await self._committer.kept()
        return await self.get(job_id)

    async def pause(self, job_type: str | None, by: str | None = None) -> QueueView:
        await self._require_open()
        if self._runner.pause(job_type):
            self._paused = self._paused | {job_type or ""}
            event = QueuePaused(
                timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
            )
            await self._say_word(Pause(job_type, paused=True), event)
        return await self.view()

    async def resume(self, job_type: str | None, by: str | None = None) -> QueueView:
        await self._require_open()
        if self._runner.resume(job_type):
            self._paused = self._paused - {job_type or ""}
            event = QueueResumed(
                timestamp=self.clock.now(), job_type=job_type or UNSET, by=by or UNSET
            )
            await self._say_word(Pause(job_type, paused=False), event)
        return await self.view()

    async def _change_schedule(self, schedule: str, change: ScheduleChange) -> None:
        await self._require_open()
        ask = ChangeSchedule(schedule, change)
        await self._ask(ask)
        self._note_schedule(ask.state)

    async def back_up(
        self,
        destination: Path,  # noqa: ARG002 (it is refused anywhere)
        by: str | None = None,  # noqa: ARG002
    ) -> int:
        await trio.lowlevel.checkpoint()
        raise BackupRefused("jobs are kept in PostgreSQL here: use pg_dump")

    async def _cancel_elsewhere(
        self, job_id: str, reason: str, by: str | None, expected: Collection[str] | None
    ) -> JobDetail:
        """Call off a job that this process does not hold."""
        job = (await self._find(job_id)).job
        before = summarize(job)
        if before.status in TERMINAL:
            raise AlreadyFinished(before)
        require_version(job, expected)
        if expected is not None and not before.cancel_requested:
            await self._do_or_tell(job_id, CallOffExpected(job_id, reason, by, expected))
            return await self.get(job_id)
        call = CallOff([job_id], reason, by)
        await self._ask(call)
        if call.says_word and before.status == "pending":
            with trio.move_on_after(WORD_SECONDS):
                await self._awaited.ended(job_id)
        return await self.get(job_id)

    async def _edit_elsewhere(self, job_id: str, wanted: Edit) -> JobDetail:
        """Change a job that this process does not hold."""
        before = (await self._find(job_id)).job
        require_version(before, wanted.expected)
        if before.status != "pending":
            raise NotPending(summarize(before))
        await self._do_or_tell(job_id, EditElsewhere([job_id], wanted))
        job = await self.get(job_id)
        if job.status != "pending" and job.edits == before.edits and not wanted.run_now:
            raise NotPending(job)
        return job

    async def _do_or_tell(self, job_id: str, change: EditElsewhere | CallOffExpected) -> None:
        """Change a job that this process does not hold, or have its holder change it.

        Raises why it can't be, or, if any versions are expected, JobChanged, or StoreUnavailable if
        its holder does not answer.
        """
        await self._ask_to(change)
        with trio.move_on_after(WORD_SECONDS) as patience:
            while change.says_word and (asked := await self._question(self._reader.asked(job_id))):
                if asked.node is None:  # it was given back meanwhile
                    await self._ask_to(change)
                else:
                    await trio.sleep(EVERY_SECONDS)
        if change.word.id is None or change.is_done:
            return
        job = (await self._find(job_id)).job
        if job.answered == change.word.id:
            return
        if patience.cancelled_caught:
            raise StoreUnavailable(f"the process that has job {job_id} does not answer: look again")
        raise JobChanged(summarize(job))

    async def _ask_to(self, change: EditElsewhere | CallOffExpected) -> None:
        await self._ask(change)
        if change.refusal is not None:
            raise change.refusal
