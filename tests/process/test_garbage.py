"""Garbage collection on a schedule: no long collection comes by itself, and no garbage stays."""

import gc
import weakref
from itertools import pairwise
from typing import Any

import pytest
import trio

from job_service.process import garbage
from job_service.process.garbage import collect_garbage_on_schedule


class Circle:
    """A cycle, which only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def grown_old() -> Circle:
    """One that has outlived both kinds of collection that Python still runs by itself."""
    circle = Circle()
    gc.collect(0)
    gc.collect(1)
    return circle


def full_collections() -> int:
    """How many full collections this process has run."""
    stats: list[dict[str, Any]] = gc.get_stats()
    return int(stats[2]["collections"])


async def test_cycles_that_a_handler_leaves_are_freed(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """Even if they have lived for long, and even if little else happens."""
    nursery.start_soon(collect_garbage_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    left = [weakref.ref(grown_old()) for _ in range(3)]
    await trio.sleep(garbage.EVERY_SECONDS + 1.1 * garbage.CHECK_SECONDS)
    assert not any(ref() for ref in left)


async def test_no_full_collection_comes_by_itself(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """However many objects are made and kept: it would stop the loop the longer, the more."""
    nursery.start_soon(collect_garbage_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    before = full_collections()
    staying = [[number] for number in range(300_000)]
    assert full_collections() == before
    assert len(staying) == 300_000


async def test_a_long_collection_is_run_seldom(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 200 ms is run every hundred seconds, so it takes a small share of the time."""
    now = 0.0

    def collect() -> None:
        nonlocal now
        collected_at.append(trio.current_time())
        now += 0.2

    collected_at: list[float] = []
    monkeypatch.setattr(garbage, "thread_time", lambda: now)
    monkeypatch.setattr(garbage, "collect", collect)
    nursery.start_soon(collect_garbage_on_schedule)
    for _ in range(30):
        grown_old()
        await trio.sleep(10)
    assert len(collected_at) == 3
    assert all(later - sooner >= 100 for sooner, later in pairwise(collected_at))


async def test_much_new_memory_is_collected_at_once(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So garbage can't fill the memory before the next collection is due."""
    memory = 100_000
    monkeypatch.setattr(garbage, "_most_memory", lambda: memory)
    nursery.start_soon(collect_garbage_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(grown_old())
    memory = 149_000
    await trio.sleep(1.1 * garbage.CHECK_SECONDS)
    assert left() is not None
    memory = 151_000
    await trio.sleep(1.1 * garbage.CHECK_SECONDS)
    assert left() is None


async def test_the_collector_is_left_as_it_was(autojump_clock: trio.abc.Clock) -> None:
    """When the schedule ends, the thresholds are restored, and nothing is frozen."""
    thresholds = gc.get_threshold()
    with trio.move_on_after(60):
        await collect_garbage_on_schedule()
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() == 0
