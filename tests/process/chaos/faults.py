"""What goes wrong: each fault returns when the world is as it was, and nobody has helped but that.

A process that was killed is started again, as any supervisor does. Nothing else is done by hand.
"""

import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Final

import psycopg
import trio

from tests.process.chaos.crew import LEASE_SECONDS, POLL_SECONDS, Crew
from tests.process.chaos.deploys import change_payload, drop_type
from tests.process.chaos.surroundings import fill_disk, hold_back_vacuum, set_wall_clock

TOO_LONG: Final = 2 * LEASE_SECONDS
NOT_TOO_LONG: Final = LEASE_SECONDS / 2

Fault = Callable[[Crew, int], Awaitable[None]]  # and the place of the process that is hit


async def nothing(crew: Crew, place: int) -> None:
    """No fault, for comparison."""
    await trio.lowlevel.checkpoint()


async def kill(crew: Crew, place: int) -> None:
    """Kill a process that has jobs in hand."""
    await _have_in_hand(crew, place)
    life = crew.at[place]
    life.send(signal.SIGKILL)
    assert await life.exit_status() == -signal.SIGKILL, life.last_words()
    crew.start(place)


async def renew(crew: Crew, place: int) -> None:
    """Stop a process that has jobs in hand, as a deploy does."""
    await _have_in_hand(crew, place)
    await crew.stop(place)
    crew.start(place)


async def freeze(crew: Crew, place: int) -> None:
    """Stop a process for longer than its lease; what it says of its jobs then is refused."""
    job_id = await _have_in_hand(crew, place)
    life = crew.at[place]
    life.send(signal.SIGSTOP)
    try:
        await trio.sleep(TOO_LONG)
        await crew.until_said("job_rescued", job_id)
    finally:
        life.send(signal.SIGCONT)
    await crew.until_said("job_lost", job_id)


async def block(crew: Crew, place: int) -> None:
    """Block the loop of a process for longer than its lease; it keeps its jobs."""
    job_id = await crew.submit(place, "block", seconds=TOO_LONG)
    job = await crew.end_of((place + 1) % len(crew.sockets), job_id)
    assert (job["status"], job["attempt"]) == ("completed", 1), job
    stalls = [line for line in crew.said("loop_stalled") if line.get("job_id") == job_id]
    assert "in beside_the_loop" in stalls[0]["where"], stalls


async def restart_server(crew: Crew, place: int) -> None:
    """Stop the server as a crash does, and start it again."""
    await trio.to_thread.run_sync(crew.cluster.stop, "immediate")
    await trio.sleep(NOT_TOO_LONG)
    await trio.to_thread.run_sync(crew.cluster.start)


async def lose_server(crew: Crew, place: int) -> None:
    """The same, for longer than all leases."""
    await trio.to_thread.run_sync(crew.cluster.stop, "immediate")
    await trio.sleep(TOO_LONG)
    await trio.to_thread.run_sync(crew.cluster.start)


async def silence(crew: Crew, place: int) -> None:
    """Let nothing pass between a process and the server, for longer than its lease."""
    await _have_in_hand(crew, place)
    crew.ways[place].silence()
    await trio.sleep(TOO_LONG)
    crew.ways[place].speak()


async def cut(crew: Crew, place: int) -> None:
    """End all connections of a process, and refuse new ones for longer than its lease."""
    await _have_in_hand(crew, place)
    crew.ways[place].cut()
    await trio.sleep(TOO_LONG)
    crew.ways[place].mend()


async def break_commits(crew: Crew, place: int) -> None:
    """End the connection in the middle of a commit, ten times in each process."""
    for way in crew.ways:
        way.commits_to_break = 10
    while any(way.commits_to_break for way in crew.ways):
        await trio.sleep(0.01)


async def fill_connections(crew: Crew, place: int) -> None:
    """Take all connections that the server has, while all processes lose theirs."""
    is_over = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, _take_connections, crew, is_over.is_set)
        await trio.sleep(NOT_TOO_LONG)
        for way in crew.ways:
            way.cut_once()
        await trio.sleep(TOO_LONG)
        is_over.set()


def _take_connections(crew: Crew, is_over: Callable[[], bool]) -> None:
    with ExitStack() as taken:
        while not is_over():
            with suppress(psycopg.OperationalError):
                taken.enter_context(psycopg.connect(crew.cluster.url(), autocommit=True))


async def _have_in_hand(crew: Crew, place: int) -> str:
    """A job that the process in this place runs, and that takes longer than a lease."""
    while True:
        job_id = await crew.submit(place, seconds=1.5 * LEASE_SECONDS)
        while not any(line["job_id"] == job_id for line in crew.said("job_started")):
            await trio.sleep(POLL_SECONDS)
        if any(line["job_id"] == job_id for line in crew.said_in(place, "job_started")):
            return job_id


FAULTS: Final[list[Fault]] = [
    kill,
    renew,
    freeze,
    block,
    restart_server,
    lose_server,
    silence,
    cut,
    break_commits,
    fill_connections,
    fill_disk,
    hold_back_vacuum,
    set_wall_clock,
    drop_type,
    change_payload,
]
SHORT: Final[list[Fault]] = [kill, freeze, restart_server]
_OF_ONE: Final[list[Fault]] = [kill, renew, freeze, block, silence, cut]
_OF_ALL: Final[list[Fault]] = [restart_server, lose_server, break_commits, fill_connections]


def mixed(chance: random.Random) -> Fault:
    """Two faults at once: of one process, and of another or of all."""
    first, second = chance.choice(_OF_ONE), chance.choice([*_OF_ONE, *_OF_ALL])

    async def both(crew: Crew, place: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first, crew, place)
            nursery.start_soon(second, crew, (place + 1) % len(crew.sockets))

    both.__name__ = f"{first.__name__} and {second.__name__}"
    return both
