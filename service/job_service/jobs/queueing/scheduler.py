"""Submits the jobs of schedules when they are due, and says which ticks made none."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

import trio
from msgspec import UNSET, structs

from job_service.errors import QueueFull, StoreUnavailable, UnknownJob
from job_service.jobs.queueing.schedules import TICKS_AHEAD, Schedules, Standing
from job_service.jobs.registration.schedule import CORRECTION, Cron, Every
from job_service.jobs.state.model import TERMINAL
from job_service.jobs.state.schedule_state import ScheduleState
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

    def __init__(self, schedules: Schedules, store: Store, emit: Callable[[Event], None]) -> None:
        self._timers = [_Timer(each, store, emit) for each in schedules.standings]
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


class _Timer:
    """One schedule at work."""

    def __init__(self, standing: Standing, store: Store, emit: Callable[[Event], None]) -> None:
        self._standing = standing
        self._name = standing.schedule.job_type
        self._overlap = standing.schedule.overlap
        self._store = store
        self._emit = emit
        self._clock = store.clock

    async def run(self) -> None:
        """Tick until cancelled. What was missed since the last tick that is kept is made up for."""
        seconds_ago = 0.0
        if (ticked_at := self._state.ticked_at) is not None:
            seconds_ago = max(0.0, (self._clock.now() - ticked_at).total_seconds())
        times = self._standing.schedule.times
        if isinstance(times, Cron):
            await self._follow_wall_clock(times, seconds_ago)
        else:
            await self._follow_interval(times, seconds_ago)

    @property
    def _state(self) -> ScheduleState:
        return self._store.schedules().get(self._name) or ScheduleState(self._name)

    async def _follow_wall_clock(self, cron: Cron, last_tick_ago: float) -> None:
        now = self._clock.now()
        last = now - timedelta(seconds=last_tick_ago)
        elapsed = self._clock.elapsed()
        ticks = self._standing.next_ticks
        while True:
            await _look_ahead(cron, last, ticks)
            due = ticks[0]
            await trio.sleep(min(max((due - now).total_seconds(), 0), self._clock.look_seconds))
            looked, now = now, self._clock.now()
            before, elapsed = elapsed, self._clock.elapsed()
            would_have_looked = now - timedelta(seconds=elapsed - before)
            if _starts_anew(cron, set_by=would_have_looked - looked, interval=due - last):
                last = would_have_looked
                ticks.clear()
            elif now >= due:
                last = now
                first = self._first_to_make(cron, due, now)
                if first is not None:
                    missed = await _count_ticks(cron, first, now)
                    scheduled_for = cron.last(now) if missed else first
                    await self._tick(scheduled_for, missed, not_since=first)
                ticks[:] = [tick for tick in ticks if tick > now]

    def _first_to_make(self, cron: Cron, due: datetime, now: datetime) -> datetime | None:
        """The first of the ticks from `due` until now that may make a job, if any may.

        What fell due during a pause is not made up for. Whoever paused the schedule did not want
        its jobs then, and whoever resumes it at noon does not ask for the one of the night.
        """
        state = self._state
        if state.is_paused:
            return None
        if state.resumed_at is None or not due <= state.resumed_at <= now:
            return due  # if it was resumed later than now, the clock was set back since
        first = next(cron.after(state.resumed_at))
        return first if first <= now else None

    async def _follow_interval(self, every: Every, last_tick_ago: float) -> None:
        start = trio.current_time() - last_tick_ago
        ticks = 0
        while True:
            due = start + (ticks + 1) * every.seconds
            first = self._clock.now() + timedelta(seconds=due - trio.current_time())
            interval = timedelta(seconds=every.seconds)
            self._standing.next_ticks = [first + n * interval for n in range(TICKS_AHEAD)]
            await trio.sleep_until(due)
            now = self._clock.now()
            since_start = trio.current_time() - start
            passed = max(every.ticks_within(since_start), ticks + 1)
            over = max(ticks, self._over_in_pauses(every, since_start, passed, now))
            ticks = passed
            if passed > over:
                late = timedelta(seconds=since_start - passed * every.seconds)
                half = interval / 2  # the ticks of others are not quite as ours
                await self._tick(now - late, passed - over - 1, not_since=now - half)

    def _over_in_pauses(self, every: Every, since_start: float, passed: int, now: datetime) -> int:
        """Up to which of the ticks that have passed none is made up for, because of a pause."""
        state = self._state
        if state.is_paused:
            return passed
        if state.resumed_at is None or state.resumed_at > now:
            return 0
        return every.ticks_within(since_start - (now - state.resumed_at).total_seconds())

    async def _tick(self, scheduled_for: datetime, missed: int, not_since: datetime) -> None:
        """Make a job for this tick, which also makes up for the ones before it that were missed."""
        if missed:
            self._skip("missed", missed)
        if not self._overlap and await self._is_under_way():
            self._skip("overlap")
            return
        try:
            await self._submit(scheduled_for, not_since)
        except QueueFull:
            self._skip("full")

    async def _submit(self, scheduled_for: datetime, not_since: datetime) -> None:
        """Make the job of a tick; none if another process has done so since."""
        draft = structs.replace(self._standing.draft, scheduled_for=scheduled_for)
        while True:
            try:
                await self._store.submit([draft], schedule=self._name, not_since=not_since)
            except StoreUnavailable as error:
                await trio.sleep(error.retry_after_seconds)
            else:
                return

    async def _is_under_way(self) -> bool:
        while (last_job_id := self._state.last_job_id) is not None:
            try:
                return (await self._store.get(last_job_id)).status not in TERMINAL
            except UnknownJob:  # it ended so long ago that it has been forgotten
                return False
            except StoreUnavailable as error:
                await trio.sleep(error.retry_after_seconds)
        return False

    def _skip(self, reason: SkipReason, ticks: int = 1) -> None:
        self._standing.skipped += ticks
        self._emit(
            ScheduleSkipped(
                timestamp=self._clock.now(),
                level="info" if reason == "overlap" else "warning",
                schedule=self._name,
                job_type=self._name,
                reason=reason,
                ticks=ticks if reason == "missed" else UNSET,
            )
        )


def _starts_anew(cron: Cron, set_by: timedelta, interval: timedelta) -> bool:
    """Whether a schedule just goes by the new time of a clock that was set, as Debian's cron does.

    What is at a fixed time would run twice, or not at all; so it waits, or catches up, unless the
    time was plainly wrong.
    """
    if cron.is_wildcard:
        return set_by > _A_FEW_TICKS or -set_by > min(interval / 2, _A_LITTLE)
    return abs(set_by) >= CORRECTION


async def _look_ahead(cron: Cron, last: datetime, ticks: list[datetime]) -> None:
    """Add ticks after `last` until the next TICKS_AHEAD are known."""
    while len(ticks) < TICKS_AHEAD:
        ticks.append(next(cron.after(ticks[-1] if ticks else last)))
        await trio.lowlevel.checkpoint()  # one may be years after the other, which takes a while


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
