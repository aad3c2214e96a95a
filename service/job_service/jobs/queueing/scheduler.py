"""Submits the jobs of schedules when they are due, and says which ticks made none."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

import msgspec
import trio
from msgspec import UNSET, structs

from job_service.errors import QueueFull, StoreUnavailable, UnknownJob
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.schedule import CORRECTION, Cron, Every, Schedule
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import TERMINAL
from job_service.jobs.state.views import ScheduleView
from job_service.stores.contract import Store
from job_service.telemetry.events import Event, ScheduleSkipped, SkipReason

MOST_MISSED = 10_000  # counted no further: a clock may be set right by decades
_SECONDS_IN_ONE_GO = 0.002
_A_LITTLE = timedelta(minutes=1)  # by less, a clock is not set back but kept right
_A_FEW_TICKS = timedelta(
    minutes=5
)  # by less, what a clock that is set forward skips is made up for


class Scheduler:
    """Runs the schedules of one engine, from `run` until `stop`."""

    def __init__(
        self,
        schedules: Sequence[Schedule],
        queue: JobQueue,
        store: Store,
        emit: Callable[[Event], None],
    ) -> None:
        self._timers = [_Timer(schedule, queue, store, emit) for schedule in schedules]
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Tick until stopped."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                for timer in self._timers:
                    nursery.start_soon(timer.run)

    def stop(self) -> None:
        """Tick no more."""
        self._scope.cancel()

    def views(self) -> list[ScheduleView]:
        """What each schedule has done, and does next."""
        return [timer.view() for timer in self._timers]


class _Timer:
    """One schedule at work."""

    def __init__(
        self, schedule: Schedule, queue: JobQueue, store: Store, emit: Callable[[Event], None]
    ) -> None:
        self._schedule = schedule
        self._store = store
        self._emit = emit
        self._clock = store.clock
        draft = queue.check(schedule.job_type, msgspec.Raw(schedule.payload))
        self._draft = structs.replace(draft, schedule=schedule.job_type)
        self._next_run_at: datetime | None = None
        self._last_run_at: datetime | None = None
        self._last_job_id: str | None = None
        self._skipped = 0

    async def run(self) -> None:
        """Tick until cancelled. What was missed since the last tick that is kept is made up for."""
        seconds_ago = 0.0
        if (kept := self._store.last_ticks().get(self._schedule.job_type)) is not None:
            seconds_ago = max(0.0, (self._clock.now() - kept.at).total_seconds())
            self._last_run_at, self._last_job_id = kept.at, kept.job_id
        if isinstance(self._schedule.times, Cron):
            await self._follow_wall_clock(self._schedule.times, seconds_ago)
        else:
            await self._follow_interval(self._schedule.times, seconds_ago)

    async def _follow_wall_clock(self, cron: Cron, last_tick_ago: float) -> None:
        now = self._clock.now()
        last = now - timedelta(seconds=last_tick_ago)
        elapsed = self._clock.elapsed()
        self._next_run_at = due = next(cron.after(last))
        while True:
            await trio.sleep(min(max((due - now).total_seconds(), 0), self._clock.look_seconds))
            looked, now = now, self._clock.now()
            before, elapsed = elapsed, self._clock.elapsed()
            would_have_looked = now - timedelta(seconds=elapsed - before)
            if _starts_anew(cron, set_by=would_have_looked - looked, interval=due - last):
                last = would_have_looked
            elif now >= due:
                last = now
                missed = await _count_ticks(cron, due, now)
                scheduled_for = cron.last(now) if missed else due
                await self._tick(scheduled_for, missed, not_since=due)
            else:
                continue
            self._next_run_at = due = next(cron.after(last))

    async def _follow_interval(self, every: Every, last_tick_ago: float) -> None:
        start = trio.current_time() - last_tick_ago
        ticks = 0
        while True:
            due = start + (ticks + 1) * every.seconds
            left = timedelta(seconds=due - trio.current_time())
            self._next_run_at = self._clock.now() + left
            await trio.sleep_until(due)
            passed = max(every.ticks_within(trio.current_time() - start), ticks + 1)
            missed = passed - ticks - 1
            ticks = passed
            late = timedelta(seconds=trio.current_time() - start - ticks * every.seconds)
            half = timedelta(seconds=every.seconds / 2)  # the ticks of others are not quite as ours
            now = self._clock.now()
            await self._tick(now - late, missed, not_since=now - half)

    async def _tick(self, scheduled_for: datetime, missed: int, not_since: datetime) -> None:
        """Make a job for this tick, which also makes up for the ones before it that were missed."""
        if missed:
            self._skip("missed", missed)
        if not self._schedule.overlap and await self._is_under_way():
            self._skip("overlap")
            return
        try:
            jobs = await self._submit(scheduled_for, not_since)
        except QueueFull:
            self._skip("full")
            return
        if jobs:
            self._last_job_id, self._last_run_at = jobs[0].id, jobs[0].created_at
        else:
            tick = self._store.last_ticks()[self._schedule.job_type]
            self._last_job_id, self._last_run_at = tick.job_id, tick.at

    async def _submit(self, scheduled_for: datetime, not_since: datetime) -> Sequence[JobSummary]:
        """Make the job of a tick; none if another process has done so since."""
        name = self._schedule.job_type
        draft = structs.replace(self._draft, scheduled_for=scheduled_for)
        while True:
            try:
                return await self._store.submit([draft], schedule=name, not_since=not_since)
            except StoreUnavailable as error:
                await trio.sleep(error.retry_after_seconds)

    async def _is_under_way(self) -> bool:
        while self._last_job_id is not None:
            try:
                return (await self._store.get(self._last_job_id)).status not in TERMINAL
            except UnknownJob:  # it ended so long ago that it has been forgotten
                return False
            except StoreUnavailable as error:
                await trio.sleep(error.retry_after_seconds)
        return False

    def _skip(self, reason: SkipReason, ticks: int = 1) -> None:
        self._skipped += ticks
        self._emit(
            ScheduleSkipped(
                timestamp=self._clock.now(),
                level="info" if reason == "overlap" else "warning",
                schedule=self._schedule.job_type,
                job_type=self._schedule.job_type,
                reason=reason,
                ticks=ticks if reason == "missed" else UNSET,
            )
        )

    def view(self) -> ScheduleView:
        """The schedule as it is now."""
        times = self._schedule.times
        return ScheduleView(
            schedule=self._schedule.job_type,
            type=self._schedule.job_type,
            cron=times.expression if isinstance(times, Cron) else None,
            timezone=times.timezone if isinstance(times, Cron) else None,
            every_seconds=times.seconds if isinstance(times, Every) else None,
            next_run_at=self._next_run_at,
            last_run_at=self._last_run_at,
            last_job_id=self._last_job_id,
            skipped=self._skipped,
        )


def _starts_anew(cron: Cron, set_by: timedelta, interval: timedelta) -> bool:
    """Whether a schedule just goes by the new time of a clock that was set, as Debian's cron does.

    What is at a fixed time would run twice, or not at all; so it waits, or catches up, unless the
    time was plainly wrong.
    """
    if cron.is_wildcard:
        return set_by > _A_FEW_TICKS or -set_by > min(interval / 2, _A_LITTLE)
    return abs(set_by) >= CORRECTION


async def _count_ticks(cron: Cron, after: datetime, until: datetime) -> int:
    """How many ticks there are in between, with `until`; up to MOST_MISSED."""
    ticks = 0
    began = monotonic()
    for tick in islice(cron.after(after), MOST_MISSED):
        if tick > until:
            break
        ticks += 1
        if monotonic() - began > _SECONDS_IN_ONE_GO:  # one may be years after the other
            await trio.lowlevel.checkpoint()
            began = monotonic()
    return ticks
