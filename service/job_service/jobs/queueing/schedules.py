"""The facade for schedules: when each makes its jobs, and how to run, pause and resume it."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import msgspec
import trio
from msgspec import structs

from job_service.errors import UnknownSchedule
from job_service.jobs.queueing.keyed_requests import keyed_request
from job_service.jobs.queueing.own_loop import OnOwnLoop
from job_service.jobs.queueing.words import require_words
from job_service.jobs.registration.schedule import Cron, Every, Schedule
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Draft
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.jobs.state.views import ScheduleView
from job_service.stores.contract import Store

if TYPE_CHECKING:
    from datetime import datetime

TICKS_AHEAD: Final = 5  # that are known of a schedule


class Standing:
    """A schedule as this process knows it: its next ticks, and how many made no job.

    `draft` is what it submits.
    """

    def __init__(self, schedule: Schedule, draft: Draft) -> None:
        self.schedule = schedule
        self.draft = draft
        self.next_ticks: list[datetime] = []
        self.skipped = 0


class Schedules(OnOwnLoop):
    """Shows schedules, runs them now, pauses and resumes them. Each has the name of its job type.

    A pause is one of the whole store, and lasts until it is taken back, also over a restart. The
    ticks of a paused schedule make no jobs, and none is made up for later. Whoever says so may give
    their name, `by`. That, checkpoints, cancellation and idempotency keys are as in `JobQueue`.
    """

    def __init__(
        self,
        schedules: Iterable[Schedule],
        check: Callable[[str, msgspec.Raw], Draft],
        store: Store,
    ) -> None:
        super().__init__(store)
        self._standings = {
            each.job_type: Standing(
                each,
                structs.replace(
                    check(each.job_type, msgspec.Raw(each.payload)), schedule=each.job_type
                ),
            )
            for each in schedules
        }

    @property
    def standings(self) -> Iterable[Standing]:
        """All of them, in the order of their registration."""
        return self._standings.values()

    def views(self) -> list[ScheduleView]:
        """What each schedule has done, and when it makes its next jobs.

        What other processes did and said is in it a second later at most.
        """
        return [self._view(each) for each in self._standings.values()]

    async def run_now(
        self, schedule: str, *, idempotency_key: str | None = None, by: str | None = None
    ) -> JobSummary:
        """Make the job of a tick at this moment, also if the schedule is paused.

        The next tick stays when it is. It makes no job if this one has not ended by then, unless
        the schedule may `overlap`. Whether an earlier one has ended is not asked here.

        Raises UnknownSchedule, QueueFull, QueueClosed, InvalidIdempotencyKey or
        IdempotencyKeyReused, and then nothing has changed.
        """
        await require_words(by)
        standing = await self._find(schedule)
        request = None
        if idempotency_key is not None:
            request = await keyed_request(idempotency_key, "run_schedule_now", schedule)
        now = self._clock.now()
        draft = structs.replace(standing.draft, scheduled_for=now, by=by)
        return (await self._store.submit([draft], request, schedule))[0]

    async def pause(self, schedule: str, *, by: str | None = None) -> ScheduleView:
        """Make no more jobs at its ticks, until `resume`. Raises UnknownSchedule."""
        await require_words(by)
        standing = await self._find(schedule)
        await self._store.pause_schedule(schedule, by)
        return self._view(standing)

    async def resume(self, schedule: str, *, by: str | None = None) -> ScheduleView:
        """Make jobs again, from its next tick on, if it is paused. Raises UnknownSchedule."""
        await require_words(by)
        standing = await self._find(schedule)
        await self._store.resume_schedule(schedule, by)
        return self._view(standing)

    async def _find(self, schedule: str) -> Standing:
        standing = self._standings.get(schedule)
        if standing is None:
            await trio.lowlevel.checkpoint()
            raise UnknownSchedule(schedule, list(self._standings))
        return standing

    def _view(self, standing: Standing) -> ScheduleView:
        name, times = standing.schedule.job_type, standing.schedule.times
        state = self._store.schedules().get(name) or ScheduleState(name)
        ticks = standing.next_ticks
        return ScheduleView(
            schedule=name,
            type=name,
            cron=times.expression if isinstance(times, Cron) else None,
            timezone=times.timezone if isinstance(times, Cron) else None,
            every_seconds=times.seconds if isinstance(times, Every) else None,
            next_run_at=ticks[0] if ticks else None,
            next_ticks=list(ticks),
            last_run_at=state.last_run_at,
            last_job_id=state.last_job_id,
            skipped=standing.skipped,
            paused=state.is_paused,
            paused_since=state.paused_since,
            paused_by=state.paused_by,
        )
