"""Limits per key and per time, and turns, hold for all processes together."""

from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial

import psycopg
import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from job_service import Draft, Rate
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.limits import Limits
from job_service.stores.postgres import node as nodes
from job_service.stores.postgres import schema
from job_service.stores.postgres.claiming import claim
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.transaction import Writer
from job_service.stores.runner import Demand
from job_service.telemetry.events import utc_now
from tests.stores.postgres.service import Service, services


async def starts_of(service: Service, jobs: list[JobSummary]) -> list[datetime]:
    """When attempts of these jobs began, in that order, when all have ended."""
    details = [await service.ended(job.id) for job in jobs]
    assert {detail.status for detail in details} == {"completed"}
    return sorted(attempt.started_at for detail in details for attempt in detail.attempts)


async def test_a_limit_holds_for_each_key_in_all_processes(database: str) -> None:
    """It is never exceeded, all jobs run, and each says why it waits, wherever that is asked."""
    registry = Registry()
    running, most = Counter[str](), Counter[str]()
    gate = trio.Event()

    @registry.job("export", concurrency=2, per=lambda tenant: tenant)
    async def export(tenant: str) -> None:
        running[tenant] += 1
        most[tenant] = max(most[tenant], running[tenant])
        await gate.wait()
        await trio.sleep(0.02)
        running[tenant] -= 1

    async with services(database, registry, workers=3) as processes:
        first = processes[0]
        drafts = [first.queue.check("export", tenant) for tenant in ["acme"] * 9 + ["duck"] * 9]
        jobs = list(await first.queue.submit_all(drafts))
        with trio.fail_after(10):
            while sum(running.values()) < 4:
                await trio.sleep(0.01)
        waiting = await processes[1].queue.list(status="pending")
        for each in processes:
            why = (await each.queue.get(waiting[0].id)).waits_because
            assert why == "held back: export for acme runs 2 of at most 2"
        gate.set()
        assert len(await starts_of(processes[2], jobs)) == 18
    assert most == {"acme": 2, "duck": 2}


async def test_a_rate_holds_in_all_processes(database: str) -> None:
    """In any time of its length, by when the attempts began."""
    registry = Registry()

    @registry.job("call", rate=Rate(4, per_seconds=0.5), retry=Retry(1, base_seconds=0, jitter=0))
    async def call() -> None:
        await trio.lowlevel.checkpoint()

    async with services(database, registry, workers=3) as processes:
        first = processes[0]
        jobs = list(await first.queue.submit_all([first.queue.check("call")] * 14))
        starts = await starts_of(first, jobs)
    spans = [later - sooner for sooner, later in zip(starts, starts[4:], strict=False)]
    assert min(spans) >= timedelta(
        seconds=0.4
    )  # what each process takes for the time differs a little


async def test_a_rate_counts_the_starts_before_a_restart(database: str) -> None:
    """They are kept with the jobs."""
    registry = Registry()

    @registry.job("call", rate=Rate(1, per_seconds=3_600), per=lambda tenant: tenant)
    async def call(tenant: str) -> str:
        await trio.lowlevel.checkpoint()
        return tenant

    async with services(database, registry, number=1) as (first,):
        done = await first.queue.submit("call", "acme")
        assert (await first.ended(done.id)).status == "completed"
    async with services(database, registry, number=1) as (second,):
        acme = await second.queue.submit("call", "acme")
        duck = await second.queue.submit("call", "duck")
        assert (await second.ended(duck.id)).status == "completed"
        assert (await second.queue.get(acme.id)).status == "pending"
        why = (await second.queue.get(acme.id)).waits_because
        assert why is not None
        assert why.startswith("held back: the rate of 1 per 3600 s of call for acme is reached")
        await second.queue.cancel(acme.id)


async def test_one_key_does_not_starve_the_others(database: str) -> None:
    """Those of others have started before the many of one are half done."""
    registry = Registry()
    begun: list[str] = []

    @registry.job("export", per=lambda tenant: tenant)
    async def export(tenant: str) -> None:
        begun.append(tenant)
        await trio.sleep(0.01)

    async with services(database, registry, workers=1) as processes:
        first = processes[0]
        drafts = [first.queue.check("export", "acme")] * 60
        drafts += [first.queue.check("export", tenant) for tenant in ["duck", "emu"] * 5]
        jobs = list(await first.queue.submit_all(drafts))
        assert len(await starts_of(first, jobs)) == 70
    last = max(place for place, tenant in enumerate(begun) if tenant != "acme")
    assert last < 35


async def test_jobs_run_whatever_key_they_have(database: str) -> None:
    """Those from SQL or from before `per` have none, those from before its end have one."""
    with_keys, without = Registry(), Registry()

    async def export(tenant: str) -> None:
        await trio.sleep(0.01 * len(tenant))

    with_keys.job("export", per=lambda tenant: tenant, concurrency=2)(export)
    without.job("export", concurrency=2)(export)
    async with services(database, with_keys, number=1) as (service,):
        with psycopg.connect(database) as connection:
            statement = "SELECT job_service.submit('export', '\"a\"', limit_key => %s)"
            keys = [None, "acme"]
            with pytest.raises(psycopg.errors.RaiseException, match="a limit key has 1 to 255"):
                connection.execute(statement, [""])
            connection.rollback()
            rows = [connection.execute(statement, [key]).fetchone() for key in keys]
        hand_made = await service.queue.submit_all([Draft("export", b'"a"', 3)])
        ids = [hand_made[0].id, *(row[0] for row in rows if row is not None)]
        assert [(await service.ended(each)).status for each in ids] == ["completed"] * 3
        await service.queue.pause("export")
        waiting = await service.queue.submit("export", "acme")
    async with services(database, without, number=1) as (service,):
        await service.queue.resume("export")
        assert (await service.ended(waiting.id)).status == "completed"


Kind = tuple[str, int]  # a limit key and a priority

kinds = st.tuples(st.sampled_from(["acme", "duck", "emu", "fox"]), st.sampled_from([4, 5]))


@pytest.mark.slow
@settings(
    max_examples=20,
    phases=(Phase.generate,),  # to shrink an example would take minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    comings=st.lists(st.lists(kinds, max_size=15), min_size=1, max_size=5),
    portions=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    concurrency=st.none() | st.integers(1, 3),
)
def test_each_key_has_its_turn(
    database: str, comings: list[list[Kind]], portions: list[int], concurrency: int | None
) -> None:
    """Of each priority, no key is passed twice by another one while it may start its jobs."""
    trio.run(_check_turns, database, comings, portions, Limits(concurrency, is_per_key=True))


class Turns:
    """What waits and what runs of each key, and who has passed whom."""

    def __init__(self, limits: Limits) -> None:
        self.waiting = Counter[Kind]()
        self.running = Counter[str]()
        self._limits = limits
        self._passed = defaultdict[Kind, Counter[str]](Counter)

    def startable(self) -> list[Kind]:
        """Whose jobs may start."""
        most = self._limits.concurrency
        return [
            kind
            for kind, jobs in self.waiting.items()
            if jobs and (most is None or self.running[kind[0]] < most)
        ]

    def take(self, taken: Kind) -> None:
        """One of this kind was taken."""
        startable = self.startable()
        assert taken in startable, "a limit was exceeded"
        assert taken[1] == min(priority for _, priority in startable)
        for kind in startable:
            if kind[1] == taken[1] and kind != taken:
                self._passed[kind][taken[0]] += 1
                assert self._passed[kind][taken[0]] <= 1, "a key was starved"
        self._passed[taken].clear()
        self.waiting[taken] -= 1
        self.running[taken[0]] += 1
        for kind in self._passed.keys() - set(self.startable()):
            self._passed[kind].clear()


async def _check_turns(
    database: str, comings: list[list[Kind]], portions: list[int], limits: Limits
) -> None:
    turns, node = Turns(limits), nodes.new_id()
    writer = Writer(database, utc_now, lambda _: None)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(writer.close)
        connection = await stack.enter_async_context(await connect(database))
        await schema.migrate(connection)
        await connection.execute("DELETE FROM job_service.jobs")
        await connection.execute("DELETE FROM job_service.last_turns")
        await nodes.register(connection, node, 60)
        for coming in comings:
            for key, priority in coming:
                turns.waiting[key, priority] += 1
                await connection.execute(
                    "SELECT job_service.submit('export', priority => %s, limit_key => %s)",
                    [priority, key],
                )
            for portion in portions:
                work = partial(claim, demand=Demand(9, 0, {"export": limits}), jobs=portion)
                jobs = (await writer.run(node, work)).jobs
                for job in jobs:
                    turns.take((job.limit_key or "", job.priority))
                assert len(jobs) == portion or not turns.startable(), "it was held up"
            await connection.execute("DELETE FROM job_service.jobs WHERE node IS NOT NULL")
            turns.running.clear()
