"""The tables are made, brought up to date, and left alone if they are of a newer program."""

import pytest
import trio

from job_service.errors import StoreRefused
from job_service.stores.postgres import schema
from job_service.stores.postgres.connection import connect


async def test_a_new_database_gets_its_tables_once(database: str) -> None:
    """However many processes start at the same moment."""
    versions: list[int] = []

    async def start() -> None:
        async with await connect(database) as connection:
            versions.append(await schema.migrate(connection))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(start)
    assert sorted(versions) == [0, schema.VERSION, schema.VERSION]


async def test_the_plan_is_what_a_migration_does(database: str) -> None:
    """Nothing, when it is done."""
    async with await connect(database) as connection:
        for step in await schema.plan(connection):
            await connection.execute(step)
        assert await schema.plan(connection) == ()
        assert await schema.migrate(connection) == schema.VERSION


async def test_tables_of_a_newer_program_are_refused(database: str) -> None:
    """And left as they are."""
    async with await connect(database) as connection:
        await schema.migrate(connection)
        await connection.execute("UPDATE job_service.version SET number = 99")
        with pytest.raises(StoreRefused, match="has version 99 of the tables, and this program"):
            await schema.migrate(connection)
        row = await (await connection.execute("SELECT number FROM job_service.version")).fetchone()
        assert row == (99,)
