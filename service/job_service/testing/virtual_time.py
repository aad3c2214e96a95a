"""Lets virtual time pass: it jumps while all tasks wait, and is real while work is under way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from time import perf_counter
from typing import Final, NoReturn

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from job_service.jobs.state.clock import Clock

# Real seconds for which all tasks must wait
_GLANCE_SECONDS: Final = 0.001  # until we look again whether work has ended
_ARRIVAL_SECONDS: Final = 0.01  # until we take it that nothing more arrives at a socket
_STUCK_SECONDS: Final = 0.5  # until we take it that nothing happens any more


def clock_from(start: datetime) -> Clock:
    """All clocks of a service, which follow Trio's virtual time. The date is `start` now."""
    passed = current_mock_clock().current_time
    zero = passed()
    first = start.astimezone(UTC)  # in a zone, a day may have 23 hours

    def now() -> datetime:
        return first + timedelta(seconds=passed() - zero)

    return Clock(now, passed, passed, look_seconds=inf)  # nobody sets this wall clock


def current_mock_clock() -> MockClock:
    """The clock of this run. Raises RuntimeError if time is real."""
    clock = trio.lowlevel.current_clock()
    if isinstance(clock, MockClock):
        return clock
    raise RuntimeError(
        "time is real in this test: let it take the fixture `virtual_time` of "
        "job_service.testing.plugin, or call run_sync in a plain def"
    )


@asynccontextmanager
async def passing_time(
    is_working: Callable[[], bool], what_is_left: Callable[[], Awaitable[str]]
) -> AsyncIterator[None]:
    """Within the block, time jumps to the next deadline whenever all tasks wait.

    While `is_working`, it passes as it really does, because a thread or a process does not wait for
    virtual time. If nothing can happen any more, the block is cancelled, and AssertionError is
    raised with what `what_is_left` says.
    """
    clock = current_mock_clock()
    threshold, clock.autojump_threshold = clock.autojump_threshold, inf  # else Trio would jump, too
    stuck: list[str] = []

    async def say_stuck() -> None:
        stuck.append(await what_is_left())
        scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_time, clock, is_working, say_stuck)
            with trio.CancelScope() as scope:
                yield
            nursery.cancel_scope.cancel()
    finally:
        clock.autojump_threshold = threshold
    if stuck:
        raise AssertionError(f"nothing can happen any more: all tasks wait. {stuck[0]}")


async def _pass_time(
    clock: MockClock, is_working: Callable[[], bool], say_stuck: Callable[[], Awaitable[None]]
) -> NoReturn:
    waited, looked = 0.0, perf_counter()
    while True:
        await wait_all_tasks_blocked(waited)
        await trio.lowlevel.checkpoint()  # others may have waited for the same
        before, looked = looked, perf_counter()
        now = trio.lowlevel.current_statistics()
        if now.tasks_runnable:
            waited = 0
        elif is_working():
            if waited == _GLANCE_SECONDS:  # else the work has just begun
                clock.jump(looked - before)
            waited = _GLANCE_SECONDS
        elif waited < _ARRIVAL_SECONDS and _sockets_awaited(now):
            waited = _ARRIVAL_SECONDS
        elif now.seconds_to_next_deadline < inf:
            clock.jump(max(now.seconds_to_next_deadline, 0))
            waited = 0
        elif waited < _STUCK_SECONDS or _sockets_awaited(now):
            waited = _STUCK_SECONDS
        else:
            await say_stuck()
            waited = 0


def _sockets_awaited(now: trio.lowlevel.RunStatistics) -> bool:
    names = ("tasks_waiting", "tasks_waiting_read", "tasks_waiting_write")  # as the system has it
    # Trio itself always awaits one, by which threads wake it.
    return sum(getattr(now.io_statistics, name, 0) for name in names) > 1
