"""PgBouncer in transaction mode: nothing of a connection outlives a transaction there."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import trio

from job_service.errors import SettingsError
from job_service.jobs.registration.registry import Registry
from job_service.settings import Settings
from job_service.stores.postgres.pooling import is_pooled, libpq_url
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
