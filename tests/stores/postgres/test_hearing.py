"""What processes hear from others, beside the words that NOTIFY passes on at once."""

from typing import Any

import psycopg
import pytest
import trio

from job_service.jobs.registration.registry import Registry
from job_service.stores.postgres.connection import Connection
from job_service.telemetry.events import JobCancelled, JobStarted, QueuePaused
from tests.stores.postgres.service import services

REASON = 'a "b"\\c\n\x1e\u2028'


async def test_a_look_for_words_of_others_is_one_question(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process looks every second, and so a hundred idle ones are cheap for the server."""
    asked = list[trio.lowlevel.Task]()
    execute = Connection.execute

    async def counting(connection: Connection, *values: Any, **options: Any) -> Any:
        asked.append(trio.lowlevel.current_task())
        return await execute(connection, *values, **options)

    async with services(database, registry, 1) as (one,):
        monkeypatch.setattr(Connection, "execute", counting)
        await one.store._hear()
        assert asked.count(trio.lowlevel.current_task()) == 1


async def test_a_reason_is_heard_as_it_was_given(database: str) -> None:
    """Whatever characters it has, and so is the name of who gave it."""
    registry = Registry()

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    async with services(database, registry, 2) as nodes:
        job = await nodes[0].queue.submit("endless")
        with trio.fail_after(20):
            while not (holders := [each for each in nodes if each.said(JobStarted)]):
                await trio.sleep(0.01)
        (other,) = (each for each in nodes if each not in holders)
        await other.queue.cancel(job.id, REASON, by=REASON)
        await other.ended(job.id)
        (told,) = (e for e in holders[0].events if isinstance(e, JobCancelled))
        assert (told.reason, told.by) == (REASON, REASON)


async def test_a_time_that_can_not_be_read_stops_nothing(database: str, registry: Registry) -> None:
    """Somebody has written one into the row of a schedule: all else is heard as ever."""
    async with services(database, registry, 2) as nodes:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO job_service.schedules (schedule, paused_since)"
                " VALUES ('nightly', 'infinity')"
            )
        await nodes[0].queue.pause()
        with trio.fail_after(20):
            while not any(isinstance(event, QueuePaused) for event in nodes[1].events):
                await trio.sleep(0.01)
