"""`job_service.submit(…)`: a job from SQL, in a transaction of its caller's own."""

import psycopg
import pytest
import trio

from job_service.jobs.registration.registry import Registry
from tests.stores.postgres.service import services


@pytest.fixture
def registry() -> Registry:
    """A job that gives back what it gets."""
    registry = Registry()

    @registry.job("email")
    async def email(to: str) -> str:
        await trio.lowlevel.checkpoint()
        return to

    return registry


def submit(connection: psycopg.Connection, arguments: str) -> str:
    """The id of the job."""
    row = connection.execute(f"SELECT job_service.submit({arguments})".encode()).fetchone()
    assert row is not None
    return str(row[0])


async def test_a_job_comes_with_its_transaction(database: str, registry: Registry) -> None:
    """Nobody sees it before the commit, and nobody ever if that does not come."""
    async with services(database, registry) as nodes:
        queue = nodes[0].queue
        with psycopg.connect(database) as connection:
            job_id = submit(connection, "'email', '\"ada\"'")
            assert list(await queue.list()) == []
            connection.rollback()
            assert list(await queue.list()) == []
            job_id = submit(connection, "'email', '\"ada\"', priority => 1")
            connection.commit()
        job = await nodes[1].ended(job_id)
        assert (job.status, bytes(job.result or b""), job.priority) == ("completed", b'"ada"', 1)
        assert job.max_retries == 3


async def test_a_unique_key_is_the_same_from_sql(database: str, registry: Registry) -> None:
    """Whoever has it first, holds it."""
    async with services(database, registry) as nodes:
        queue = nodes[0].queue
        held = await queue.submit("email", "ada", unique_key="a\\b", delay_seconds=3_600)
        arguments = (
            r"""'email', '"ada"', unique_key => 'a\b', run_at => now() + interval '1 hour'"""
        )
        with psycopg.connect(database) as connection:
            assert submit(connection, arguments) == held.id
            other = submit(connection, arguments.replace("a\\b", "other"))
            connection.commit()
        again = await queue.submit("email", "ada", unique_key="other")
        assert (again.id, again.duplicate) == (other, True)
        assert again.run_at is not None


async def test_a_job_from_sql_is_found_by_its_key_and_tags(
    database: str, registry: Registry
) -> None:
    """As one that came in another way."""
    async with services(database, registry, number=1) as (service,):
        with psycopg.connect(database) as connection:
            arguments = r"""'email', '"ada"', unique_key => 'a\b', tags => '{x,"c:\\d",x}'"""
            job_id = submit(connection, arguments)
            connection.commit()
            for tags in ('{a,""}', "{{a},{b}}"):
                with pytest.raises(psycopg.errors.RaiseException, match="up to 10 tags"):
                    submit(connection, f"'email', tags => '{tags}'")
                connection.rollback()
        queue = service.queue
        assert [job.id for job in await queue.list(unique_key="a\\b")] == [job_id]
        assert [job.id for job in await queue.list(tag="x")] == [job_id]
        (job,) = await queue.list(tag="c:\\d")
        assert job.tags == ("x", "c:\\d", "x")


async def test_two_that_come_at_once_with_one_key_are_one(
    database: str, registry: Registry
) -> None:
    """One of them from SQL, in a transaction that is still open."""
    async with services(database, registry, number=1) as (service,):
        with psycopg.connect(database) as connection:
            job_id = submit(connection, "'email', '\"ada\"', unique_key => 'k'")
            got = []

            async def ask() -> None:
                got.append(await service.queue.submit("email", "ada", unique_key="k"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await trio.sleep(0.1)
                assert got == []
                connection.commit()
        assert [(job.id, job.duplicate) for job in got] == [(job_id, True)]


def test_what_is_no_job_is_refused(database: str) -> None:
    """The transaction hears of it."""

    async def make_tables() -> None:
        async with services(database, Registry(), number=1):
            pass

    trio.run(make_tables)
    refused = {
        "'email', priority => 10": "a priority from 0 to 9",
        "'email', priority => NULL": "a priority from 0 to 9",
        "'email', max_retries => NULL": "max_retries from 0 to 1000",
        "NULL": "needs a type",
        "'email', run_at => 'infinity'": "within the next 10 years",
        "'email', run_at => '12000-01-01'": "within the next 10 years",
    }
    with psycopg.connect(database, autocommit=True) as connection:
        for arguments, why in refused.items():
            with pytest.raises(psycopg.errors.RaiseException, match=why):
                submit(connection, arguments)
