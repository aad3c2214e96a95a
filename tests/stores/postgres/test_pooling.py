"""PgBouncer in transaction mode: nothing of a connection outlives a transaction there."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import trio

from job_service.errors import SettingsError
from job_service.jobs.registration.registry import Registry
from job_service.settings import Settings
from job_service.stores.postgres import connection as connections
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.pooling import is_pooled, libpq_url
from job_service.stores.postgres.reading import Reader
from job_service.telemetry.events import JobCompleted, JobStarted
from tests.stores.postgres.cluster import Cluster
from tests.stores.postgres.pooler import PROGRAM, running_pooler
from tests.stores.postgres.service import services


@pytest.fixture
def pooled(cluster: Cluster, database: str) -> Iterator[str]:
    """The URL of a new database by way of a pooler that has two connections for all."""
    if PROGRAM is None:
        pytest.skip("there is no PgBouncer on this machine (pgbouncer)")
    with running_pooler(cluster.folder, "jobs", connections=2) as folder:
        name = urlsplit(database).path
        yield f"postgresql://jobs@{name}?host={folder}&port=6432&pool_mode=transaction"


@pytest.mark.slow
async def test_processes_share_the_work_by_way_of_a_pooler(pooled: str) -> None:
    """Twelve connections of three processes become two."""
    registry = Registry()

    @registry.job("email", concurrency=2)
    async def email() -> None:
        await trio.sleep(0.01)

    async with services(pooled, registry) as nodes:
        jobs = [await nodes[0].queue.submit("email") for _ in range(20)]
        jobs += [await nodes[0].queue.submit("email", delay_seconds=0.2) for _ in range(4)]
        for job in jobs:
            assert (await nodes[1].ended(job.id)).status == "completed"
        completed = [job_id for each in nodes for job_id in each.said(JobCompleted)]
        assert sorted(completed) == sorted(job.id for job in jobs)


async def test_words_of_others_are_heard_by_way_of_a_pooler(pooled: str) -> None:
    """Each process looks by itself, once a second."""
    registry = Registry()

    @registry.job("slow")
    async def slow() -> None:
        await trio.sleep_forever()

    async with (
        services(pooled, registry, 1, workers=0) as (other,),
        services(pooled, registry, 1) as (first,),
    ):
        job = await first.queue.submit("slow")
        with trio.fail_after(20):
            while not first.said(JobStarted):
                await trio.sleep(0.01)
        await other.queue.cancel(job.id)
        assert (await other.ended(job.id)).status == "cancelled"
        await other.queue.pause("slow")
        with trio.fail_after(20):
            while "slow" not in (await first.queue.view()).paused_types:
                await trio.sleep(0.01)


async def ask(connection: Connection) -> list[tuple[Any, ...]]:
    """What the server says of some settings of the service."""
    return await connection.named(
        "SELECT current_setting('statement_timeout'), current_setting('enable_seqscan')", {}
    )


async def test_reads_have_the_settings_of_the_service(pooled: str) -> None:
    """Each has a transaction of its own for that; nobody else gets them, and an error ends it."""
    reader = Reader(pooled)
    assert await reader.do(ask) == [("20s", "off")]
    with psycopg.connect(libpq_url(pooled), autocommit=True) as another:
        for _ in range(2):
            found = another.execute("SELECT current_setting('statement_timeout')").fetchone()
            assert found == ("0",)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await reader.do(lambda connection: connection.named("SELECT 1 / 0", {}))
    assert await reader.do(ask) == [("20s", "off")]
    await reader.close()


async def test_a_read_that_takes_too_long_is_ended_by_the_server(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no connection of the pooler for ever."""
    short = connections.OF_TRANSACTION.replace("'20s'", "'50ms'")
    monkeypatch.setattr(connections, "OF_TRANSACTION", short)
    reader = Reader(pooled)
    with pytest.raises(psycopg.errors.QueryCanceled):
        await reader.do(lambda connection: connection.named("SELECT pg_sleep(60)", {}))
    await reader.close()


def test_what_libpq_does_not_know_is_not_told_to_it() -> None:
    """The rest of the URL is left as it is."""
    url = "postgresql://jobs@/jobs?host=/run/pgbouncer&pool_mode=transaction&port=6432"
    assert is_pooled(url)
    assert libpq_url(url) == "postgresql://jobs@/jobs?host=/run/pgbouncer&port=6432"
    assert libpq_url("postgresql:///jobs?pool_mode=session") == "postgresql:///jobs"
    assert not is_pooled("postgresql:///jobs?pool_mode=session")


@pytest.mark.parametrize("mode", ["statement", "", "transaction&pool_mode=session"])
def test_another_mode_is_refused(mode: str) -> None:
    """Before anything starts."""
    pytest.importorskip("psycopg")
    with pytest.raises(SettingsError, match="takes one pool_mode in its URL, session or transact"):
        Settings(store=f"postgresql:///jobs?pool_mode={mode}")
