"""What goes wrong around the processes: with the disk, the clock, and other users of the server."""

from collections.abc import Callable
from typing import Final

import psycopg
import trio

from tests.process.chaos.crew import LEASE_SECONDS, POLL_SECONDS, PROCESSES, Crew
from tests.process.chaos.wrong_clock import set_clock

_HOUR: Final = 3_600


async def fill_disk(crew: Crew, place: int) -> None:
    """Fill the disk under the database until each process has found out, and for a lease more."""
    assert crew.disk is not None
    before = len(crew.said("store_failing"))
    await trio.to_thread.run_sync(crew.disk.fill)
    try:
        while len(crew.said("store_failing")) < before + PROCESSES:
            await trio.sleep(POLL_SECONDS)
        await trio.sleep(LEASE_SECONDS)
    finally:
        crew.disk.free()


async def hold_back_vacuum(crew: Crew, place: int) -> None:
    """Leave a transaction open in which all rows are as they were; all others go on meanwhile."""
    is_over = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, _see_all_rows, crew, is_over.is_set)
        for _ in range(2):
            await trio.sleep(LEASE_SECONDS)
            await _let_all_answer(crew)
        is_over.set()


async def set_wall_clock(crew: Crew, place: int) -> None:
    """Set the wall clock of a process an hour ahead, and then behind; all goes on meanwhile."""
    output = crew.at[place].output
    try:
        for seconds in (_HOUR, -_HOUR):
            set_clock(output, seconds)
            await _let_all_answer(crew)
            await trio.sleep(LEASE_SECONDS)
    finally:
        set_clock(output, 0)


async def _let_all_answer(crew: Crew) -> None:
    """Return when each process has run a job."""
    async with trio.open_nursery() as nursery:
        for place in range(PROCESSES):
            nursery.start_soon(_answer, crew, place)


async def _answer(crew: Crew, place: int) -> None:
    await crew.end_of(place, await crew.submit(place))


def _see_all_rows(crew: Crew, is_over: Callable[[], bool]) -> None:
    with psycopg.connect(crew.cluster.url(crew.database)) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        while not is_over():
            connection.execute("SELECT count(*), pg_current_xact_id() FROM job_service.jobs")
            connection.execute("SELECT pg_sleep(0.1)")
