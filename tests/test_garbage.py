"""Garbage collection on a schedule: none comes by itself that is long, and no garbage stays."""

import gc
import weakref
from itertools import pairwise
from typing import Any

import pytest
import trio

from job_service import garbage
from job_service.garbage import collect_on_schedule


class Circle:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def grown_old() -> Circle:
    """One that has outlived both kinds of collection that still come by themselves."""
    circle = Circle()
    gc.collect(0)
    gc.collect(1)
    return circle


def full_collections() -> int:
    """How many there have been in this process."""
    stats: list[dict[str, Any]] = gc.get_stats()
    return int(stats[2]["collections"])


async def test_what_a_handler_leaves_in_circles_is_freed(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """Even if it had lived for long before, and however little else is going on."""
    nursery.start_soon(collect_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    left = [weakref.ref(grown_old()) for _ in range(3)]
    await trio.sleep(garbage.EVERY_SECONDS + 1.1 * garbage.CHECK_SECONDS)
    assert not any(ref() for ref in left)


async def test_no_full_collection_comes_by_itself(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """However many objects come and stay: each would stop the loop for as long as they are many."""
    nursery.start_soon(collect_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    before = full_collections()
    staying = [[number] for number in range(300_000)]
    assert full_collections() == before
    assert len(staying) == 300_000


async def test_what_takes_long_is_done_seldom(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 200 ms comes once in a hundred seconds: a small share of the time."""
    now = 0.0

    def collect() -> None:
        nonlocal now
        collected_at.append(trio.current_time())
        now += 0.2

    collected_at: list[float] = []
    monkeypatch.setattr(garbage, "thread_time", lambda: now)
    monkeypatch.setattr(garbage, "collect", collect)
    nursery.start_soon(collect_on_schedule)
    for _ in range(30):
        grown_old()
        await trio.sleep(10)
    assert len(collected_at) == 3
    assert all(later - sooner >= 100 for sooner, later in pairwise(collected_at))


async def test_much_new_memory_is_looked_at_at_once(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that garbage can't fill the memory before its time comes."""
    blocks = 100_000
    monkeypatch.setattr(garbage, "getallocatedblocks", lambda: blocks)
    nursery.start_soon(collect_on_schedule)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(grown_old())
    blocks = 149_000
    await trio.sleep(1.1 * garbage.CHECK_SECONDS)
    assert left() is not None
    blocks = 151_000
    await trio.sleep(1.1 * garbage.CHECK_SECONDS)
    assert left() is None


async def test_the_collector_is_given_back(autojump_clock: trio.abc.Clock) -> None:
    """Whoever ran it for a while has the process as before: thresholds, and nothing frozen."""
    thresholds = gc.get_threshold()
    with trio.move_on_after(60):
        await collect_on_schedule()
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() == 0
