"""A server that is gone for a while: it is told, waited for, and nothing is lost."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import trio
from psycopg.conninfo import conninfo_to_dict

from job_service.errors import StoreRefused, StoreUnavailable
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobDetail
from job_service.stores import commit
from job_service.stores.postgres import idleness, schema, transaction, writing
from job_service.stores.postgres.connection import Connection, connect
from job_service.stores.postgres.node import new_id, register
from job_service.stores.postgres.rescuing import Rescue
from job_service.stores.postgres.unreadable import Claimed
from job_service.stores.postgres.writing import Claim
from job_service.telemetry.events import (
    JobCompleted,
    JobLost,
    JobReleased,
    JobRescued,
    JobRetried,
    JobStarted,
    StoreFailing,
    StoreRecovered,
    utc_now,
)
from tests.stores.postgres.cluster import Cluster, running_cluster, why_there_is_none
from tests.stores.postgres.service import Service, services


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that this test may stop."""
    if (why := why_there_is_none()) is not None:
        pytest.skip(why)
    with running_cluster() as cluster:
        yield cluster


LEASE_SECONDS = 1.0


async def until_told(services: list[Service], kind: type[StoreFailing | StoreRecovered]) -> None:
    """Return when each has told of it."""
    with trio.fail_after(30):
        while not all(any(isinstance(e, kind) for e in each.events) for each in services):
            await trio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["immediate", "fast"])
async def test_a_restart_of_the_server_costs_nothing(own_cluster: Cluster, mode: str) -> None:
    """What runs goes on, callers hear that they must wait, and then all goes on by itself.

    It does so if all leases were over meanwhile, because nobody could renew one.
    """
    registry = Registry()
    gate = trio.Event()

    @registry.job("slow")
    async def slow() -> str:
        await gate.wait()
        return "done"

    async with services(
        own_cluster.new_database(), registry, workers=3, lease_seconds=LEASE_SECONDS
    ) as nodes:
        jobs = [await nodes[0].queue.submit("slow") for _ in range(12)]
        own_cluster.stop(mode)
        with pytest.raises(StoreUnavailable):
            await nodes[1].queue.submit("slow")
        with pytest.raises(StoreUnavailable):
            await nodes[2].queue.get(jobs[0].id)
        gate.set()
        await until_told(nodes, StoreFailing)
        await trio.sleep(1.5 * LEASE_SECONDS)
        own_cluster.start()
        await until_told(nodes, StoreRecovered)
        for job in jobs:
            ended = await nodes[1].ended(job.id)
            assert (ended.status, ended.attempt) == ("completed", 1)
        told = [event for each in nodes for event in each.events]
        assert sum(isinstance(event, JobCompleted) for event in told) == 12
        assert not any(isinstance(event, JobLost | JobRescued) for event in told)
        for each in nodes:  # a server that starts may fail once more
            edges = [e.event for e in each.events if isinstance(e, StoreFailing | StoreRecovered)]
            alternating = ["store_failing", "store_recovered"] * len(edges)
            assert edges == alternating[: len(edges)]


@pytest.mark.slow
async def test_a_process_goes_on_as_soon_as_it_hears_from_the_server(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it would wait to try again by itself after a server that was gone for long."""
    registry = Registry()

    @registry.job("email")
    async def email() -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(commit, "FIRST_RETRY_SECONDS", 1_000)
    monkeypatch.setattr(commit, "LONGEST_RETRY_SECONDS", 1_000)
    async with services(own_cluster.new_database(), registry, 1) as (service,):
        own_cluster.stop()
        await until_told([service], StoreFailing)
        own_cluster.start()
        await until_told([service], StoreRecovered)
        job = await service.queue.submit("email")
        assert (await service.ended(job.id)).status == "completed"


@pytest.mark.slow
async def test_a_connection_that_is_cut_is_made_anew(database: str, cluster: Cluster) -> None:
    """Again and again, while jobs come in and run."""
    registry = Registry()

    @registry.job("email")
    async def email() -> None:
        await trio.lowlevel.checkpoint()

    cuts = list[object]()

    def cut() -> None:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            cursor = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND application_name = 'job-service'",
                [conninfo_to_dict(database)["dbname"]],
            )
            cuts.extend(cursor.fetchall())

    async with services(database, registry) as nodes:
        accepted = set[str]()

        async def submit(service: Service) -> None:
            for _ in range(60):
                try:
                    accepted.add((await service.queue.submit("email")).id)
                except StoreUnavailable:
                    await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            for each in nodes:
                nursery.start_soon(submit, each)
            for _ in range(5):
                await trio.sleep(0.1)
                await trio.to_thread.run_sync(cut)
        for job_id in accepted:
            assert (await nodes[0].ended(job_id)).status == "completed"
        completed = [job_id for each in nodes for job_id in each.said(JobCompleted)]
        assert len(completed) == len(set(completed))
        assert accepted <= set(completed)


async def test_a_commit_whose_answer_is_lost_has_happened_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked what became of it, and nobody hears of the trouble."""
    registry = Registry()

    @registry.job("email")
    async def email() -> None:
        await trio.lowlevel.checkpoint()

    execute = Connection.execute
    to_lose = 0

    async def lose_answers(self: Connection, query: Any, *values: Any) -> Any:
        nonlocal to_lose
        result = await execute(self, query, *values)
        if query == "COMMIT" and to_lose:
            to_lose -= 1
            self.pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")
        return result

    monkeypatch.setattr(Connection, "execute", lose_answers)
    async with services(database, registry, number=1) as (service,):
        for _ in range(3):
            to_lose = 2
            job = await service.queue.submit("email")
            assert (await service.ended(job.id)).attempt == 1
        assert to_lose == 0
        assert len(service.said(JobCompleted)) == 3
        assert not service.said(JobLost)
        assert not any(isinstance(event, StoreFailing) for event in service.events)


async def test_a_process_that_could_not_renew_its_lease_does_not_take_itself_for_dead(
    database: str, cluster: Cluster
) -> None:
    """It may be the one that looks for leases that are over."""
    registry = Registry()
    gate = trio.Event()

    @registry.job("slow")
    async def slow() -> None:
        await gate.wait()

    async with services(database, registry, number=1) as (service,):
        job = await service.queue.submit("slow")
        with trio.fail_after(20):
            while not service.said(JobStarted):
                await trio.sleep(0.01)
        await trio.to_thread.run_sync(
            cluster.execute,
            "UPDATE job_service.nodes SET lease_until = '-infinity'",
            str(conninfo_to_dict(database)["dbname"]),
        )
        await service.store._ask(Rescue(3, 0.0))
        gate.set()
        assert (await service.ended(job.id)).attempt == 1
        assert not service.said(JobRescued)


@pytest.mark.parametrize(
    ("fails", "retries"),
    [(False, 0), (True, 1), (True, 0)],
    ids=["it completes", "it is to be retried later", "it fails"],
)
async def test_what_ended_while_the_lease_was_lost_is_not_believed(
    database: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, fails: bool, retries: int
) -> None:
    """Not even if this process takes the job again as soon as it hears of the loss.

    Nor if it would have given it back in the same moment, because it waits for long.
    """
    registry = Registry()
    gate, is_held, may_begin = trio.Event(), trio.Event(), trio.Event()

    failures: list[str] = []

    @registry.on_failure
    async def note_failure(job: JobDetail, error: BaseException) -> None:
        failures.append(job.id)

    @registry.job("slow", retry=Retry(max_retries=retries, base_seconds=60, jitter=0))
    async def slow(job: JobContext) -> None:
        await gate.wait()
        if fails and job.attempt == 1:
            raise RuntimeError

    begin = Connection.begin

    async def hold_back(self: Connection, more: str) -> Any:
        if name in more:
            is_held.set()
            await may_begin.wait()
        return await begin(self, more)

    def end_lease() -> None:
        cluster.execute(
            f"UPDATE job_service.nodes SET lease_until = '-infinity' WHERE id = '{name}'",
            str(conninfo_to_dict(database)["dbname"]),
        )

    options: dict[str, Any] = {"number": 1, "lease_seconds": LEASE_SECONDS}
    async with (
        services(database, registry, workers=0, **options) as (other,),
        services(database, registry, workers=1, **options) as (first,),
        trio.open_nursery() as nursery,
    ):
        job = await first.queue.submit("slow")
        with trio.fail_after(20):
            while not first.said(JobStarted):
                await trio.sleep(0.01)
        await first.store.settled()
        name = str(first.store.node)
        monkeypatch.setattr(Connection, "begin", hold_back)
        if fails:
            gate.set()  # and its end is in the transaction that is held back
        else:
            nursery.start_soon(first.store._ask, Claim())
        await is_held.wait()
        gate.set()
        with trio.fail_after(20):
            while not other.said(JobRescued):
                await trio.to_thread.run_sync(end_lease)
                await trio.sleep(0.01)
        may_begin.set()
        ended = await first.ended(job.id)
        assert [attempt.outcome for attempt in ended.attempts] == ["lost", "completed"]
        assert first.said(JobLost) == [job.id]
        assert not first.said(JobRetried)
    assert failures == []


async def test_a_commit_that_goes_on_without_its_client_is_waited_for(database: str) -> None:
    """Even if it is the first of its process."""
    node = new_id()
    async with await connect(database) as connection:
        await schema.migrate(connection)
        await register(connection, node, seconds=60)
    writer, asker = [transaction.Writer(database, utc_now, lambda _: None) for _ in range(2)]
    for number in (1, 2):
        async with trio.open_nursery() as nursery:
            has_begun, may_commit = trio.Event(), trio.Event()
            answers = list[bool]()

            async def commit(
                tx: transaction.Transaction,
                has_begun: trio.Event = has_begun,
                may_commit: trio.Event = may_commit,
            ) -> None:
                has_begun.set()
                await may_commit.wait()

            async def ask(number: int = number, answers: list[bool] = answers) -> None:
                answers.append(await asker.has_committed(node, number))

            nursery.start_soon(writer.run, node, commit)
            await has_begun.wait()
            nursery.start_soon(ask)
            await trio.sleep(0.2)
            assert not answers
            may_commit.set()
        assert answers == [True]
    await writer.close()
    await asker.close()


async def test_a_job_that_was_called_off_is_not_rescued(database: str, cluster: Cluster) -> None:
    """Its process has died before it heard of that."""
    registry = Registry()

    @registry.job("slow")
    async def slow() -> None:
        await trio.sleep_forever()

    options: dict[str, Any] = {"number": 1, "lease_seconds": LEASE_SECONDS}
    async with (
        services(database, registry, workers=0, **options) as (other,),
        services(database, registry, workers=1, **options) as (first,),
    ):
        job = await first.queue.submit("slow")
        with trio.fail_after(20):
            while not first.said(JobStarted):
                await trio.sleep(0.01)
        await first.store.settled()
        name = str(first.store.node)
        await trio.to_thread.run_sync(
            cluster.execute,
            "UPDATE job_service.jobs SET cancel_reason = 'not needed'; "
            f"UPDATE job_service.nodes SET lease_until = '-infinity' WHERE id = '{name}'",
            str(conninfo_to_dict(database)["dbname"]),
        )
        await other.store._ask(Rescue(3, 0.0))
        ended = await other.ended(job.id)
        assert (ended.status, ended.attempt) == ("cancelled", 1)
        assert not other.said(JobRescued)


@pytest.mark.slow
async def test_a_process_that_takes_no_jobs_is_not_ready(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so when jobs are ready for its free workers, and none has started for a while."""
    registry = Registry()

    @registry.job("email")
    async def email() -> None:
        await trio.lowlevel.checkpoint()

    async def claim_nothing(*_: object) -> Claimed:
        return Claimed()

    monkeypatch.setattr(idleness, "IDLE_SECONDS", 3.0)
    async with (
        services(database, registry, 1, workers=0) as (front_end,),
        services(database, registry, 1) as (service,),
    ):
        with monkeypatch.context() as patch, trio.fail_after(20):
            patch.setattr(writing, "claim", claim_nothing)
            job = await front_end.queue.submit("email")
            while service.store.why_idle is None:
                await trio.sleep(0.01)
            assert "jobs are ready and workers are free" in service.store.why_idle
        assert (await front_end.ended(job.id)).status == "completed"
        with trio.fail_after(20):
            while service.store.why_idle is not None:
                await trio.sleep(0.01)


async def test_a_commit_that_a_crash_has_lost_is_known_to_have_failed(own_cluster: Cluster) -> None:
    """A server that crashed gives its own number of such a transaction to another one, later."""
    url, node = own_cluster.new_database(), new_id()
    async with await connect(url) as connection:
        await schema.migrate(connection)
        await register(connection, node, seconds=60)
    writer = transaction.Writer(url, utc_now, lambda _: None)

    def crash() -> None:
        own_cluster.stop()
        own_cluster.start()
        for number in range(3):
            own_cluster.execute(f"CREATE TABLE committed_{number} ()")

    async def pause(tx: transaction.Transaction) -> None:
        await tx.rows("INSERT INTO job_service.pauses VALUES ('email')")
        await trio.to_thread.run_sync(crash)

    with pytest.raises(psycopg.OperationalError):
        await writer.run(node, pause)
    assert await writer.run(node, lambda tx: tx.rows("SELECT FROM job_service.pauses")) == []
    await writer.close()


@pytest.mark.slow
async def test_a_service_whose_loop_is_blocked_gives_its_jobs_back(database: str) -> None:
    """Another thread writes that, because the process is about to end."""
    registry = Registry()
    is_first = True

    @registry.job("slow")
    async def slow() -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            await trio.sleep_forever()

    async with services(database, registry, number=1, workers=1) as (blocked,):
        job, next_job = [await blocked.queue.submit("slow") for _ in range(2)]
        with trio.fail_after(10):
            while not blocked.said(JobStarted):
                await trio.sleep(0.01)
        await blocked.store.settled()
        await trio.to_thread.run_sync(blocked.engine.end_without_loop, "loop_blocked")
        assert blocked.said(JobReleased) == [job.id]
        async with services(database, registry, number=1) as (other,):
            for each in (job, next_job):
                assert (await other.ended(each.id)).status == "completed"
            told = await other.queue.get(job.id)
            assert [each.outcome for each in told.attempts] == ["interrupted", "completed"]
            assert (told.interruptions, told.losses) == (1, 0)
        blocked.engine.stop("told to")


async def test_a_server_that_is_not_there_is_refused_at_the_start(own_cluster: Cluster) -> None:
    """There is nothing to wait for."""
    url = own_cluster.new_database()
    own_cluster.stop()
    try:
        with pytest.raises(StoreRefused, match=r"can't use postgresql:.*No such file"):
            async with Service(url, Registry()).store.opened():
                pass
    finally:
        own_cluster.start()
