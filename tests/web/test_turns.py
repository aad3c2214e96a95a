"""Event streams take turns: others are served between them, and no stream waits for ever."""

import pytest
import trio
import trio.testing

from job_service.web.turns import BURST_SECONDS, MOST_AT_ONCE, TURN_SECONDS, Turns

CROWD = 3_500


async def test_a_few_streams_have_their_turns_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nobody waits as long as they take less than their share."""
    turns = Turns()
    for _ in range(1_000):
        began = trio.current_time()
        for _ in range(4):
            await turns.take()
        assert trio.current_time() == began
        await trio.sleep(0.001)


async def test_a_crowd_has_its_turns_one_after_the_other(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """Each has one within a second, in their order, and what they send is paid for."""
    turns = Turns()
    taken: list[float] = []

    async def stream() -> None:
        await turns.take()
        taken.append(trio.current_time())

    began = trio.current_time()
    for _ in range(CROWD):
        nursery.start_soon(stream)
    await trio.sleep(2)
    assert len(taken) == CROWD
    assert taken[-1] - began == pytest.approx(CROWD * TURN_SECONDS - BURST_SECONDS, rel=0.01)
    await turns.take()
    turns.prolong(100_000_000)
    began = trio.current_time()
    await turns.take()
    assert trio.current_time() - began > 0.3


async def test_others_are_served_while_a_crowd_has_come_due(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """Even if all turns are late: in a round of the loop only a few of them are taken."""
    turns = Turns()
    taken = 0

    async def stream() -> None:
        nonlocal taken
        await turns.take()
        taken += 1

    for _ in range(CROWD):
        nursery.start_soon(stream)
    await trio.testing.wait_all_tasks_blocked()
    autojump_clock.jump(10)  # as if the process had not had the processor for so long
    most, before = 0, taken
    while taken < CROWD:
        await trio.lowlevel.checkpoint()
        most, before = max(most, taken - before), taken
    assert most <= 2 * MOST_AT_ONCE < CROWD / 100


async def test_who_leaves_keeps_nobody_from_a_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Neither while it sleeps, nor while it waits among those that are due."""
    turns = Turns()
    taken: list[int] = []

    async def stream(number: int) -> None:
        await turns.take()
        taken.append(number)

    async with trio.open_nursery() as staying, trio.open_nursery() as leaving:
        for number in range(100):
            leaving.start_soon(stream, -1)
            staying.start_soon(stream, number)
        await trio.lowlevel.checkpoint()
        leaving.cancel_scope.cancel()
    assert sorted(number for number in taken if number >= 0) == list(range(100))
