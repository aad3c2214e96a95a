"""Of all that change a job that they have seen, in whichever processes, exactly one does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio

from job_service.errors import AlreadyFinished, JobChanged, NotPending, StoreUnavailable
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobDetail
from job_service.stores.postgres import participant
from tests.stores.postgres.service import Service, services

HOUR: Final = 3_600.0
Call = Callable[[JobQueue, str, str], Awaitable[JobDetail]]

CALLS: Final[dict[str, Call]] = {
    "edit": lambda queue, job_id, seen: queue.edit(job_id, priority=1, expected=seen),
    "run now": lambda queue, job_id, seen: queue.run_now(job_id, expected=seen),
    "cancel": lambda queue, job_id, seen: queue.cancel(job_id, expected=seen),
}
each_call = pytest.mark.parametrize("call", CALLS)


@pytest.fixture
def registry() -> Registry:
    """Jobs that fail at first, and such as never end."""
    registry = Registry()

    @registry.job("flaky", retry=Retry(max_retries=1, base_seconds=60, jitter=0))
    async def flaky() -> None:
        raise RuntimeError("at first")

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    return registry


@asynccontextmanager
async def holder_and_others(
    database: str, registry: Registry
) -> AsyncIterator[tuple[Service, Service, Service]]:
    """One process that runs jobs and keeps what waits for a retry, and two that run nothing."""
    async with (
        services(database, registry, number=1, stays_seconds=HOUR) as (holder,),
        services(database, Registry(), number=2) as (one, two),
    ):
        yield holder, one, two


async def seen(service: Service, job_id: str, status: str) -> JobDetail:
    """The job, as soon as it is in this state and has begun."""
    with trio.fail_after(20):
        while True:
            job = await service.queue.get(job_id)
            if job.status == status and job.attempt:
                return job
            await trio.sleep(0.01)


async def done_by(nodes: Sequence[Service], job: JobDetail, calls: list[str]) -> list[Service]:
    """Those for whom one of these calls was done, of which all are made by each at once."""
    done = list[Service]()

    async def ask(node: Service, call: str) -> None:
        try:
            await CALLS[call](node.queue, job.id, job.version)
            done.append(node)
        except (JobChanged, NotPending, AlreadyFinished):
            pass

    async with trio.open_nursery() as nursery:
        for node in nodes:
            for call in calls:
                nursery.start_soon(ask, node, call)
    return done


ONE_AND_ALL = pytest.mark.parametrize("calls", [["edit"] * 2, ["cancel"] * 2, [*CALLS]], ids=str)


@ONE_AND_ALL
async def test_of_a_job_that_nobody_holds(
    database: str, registry: Registry, calls: list[str]
) -> None:
    """The transaction decides that changes it first."""
    async with services(database, registry) as nodes:
        job = await nodes[0].queue.submit("endless", delay_seconds=HOUR)
        before = await nodes[1].queue.get(job.id)
        assert len(await done_by(nodes, before, calls)) == 1
        await nodes[0].queue.cancel_all("endless")


@ONE_AND_ALL
async def test_of_a_job_that_waits_with_one_of_them(
    database: str, registry: Registry, calls: list[str]
) -> None:
    """The process decides that holds it, whoever is asked."""
    async with holder_and_others(database, registry) as nodes:
        job = await nodes[0].queue.submit("flaky")
        before = await seen(nodes[1], job.id, "pending")
        assert len(await done_by(nodes, before, calls)) == 1
        after = await nodes[1].queue.get(job.id)
        assert after.version != before.version


async def test_of_a_job_that_runs(database: str, registry: Registry) -> None:
    """It is cancelled once, and those who come later are told that it has changed."""
    async with holder_and_others(database, registry) as nodes:
        job = await nodes[0].queue.submit("endless")
        before = await seen(nodes[1], job.id, "processing")
        assert len(await done_by(nodes, before, ["cancel"] * 2)) == 1
        assert (await nodes[2].ended(job.id)).status == "cancelled"


@each_call
async def test_what_its_holder_has_not_kept_yet_counts_too(
    database: str, registry: Registry, call: str
) -> None:
    """Another process sees the old version in the database, and yet does not undo the change."""
    async with holder_and_others(database, registry) as (holder, other, _):
        job = await holder.queue.submit("flaky")
        before = await seen(other, job.id, "pending")
        held = holder.store._jobs.get(job.id)
        assert held is not None
        held.edits += 1
        assert (await other.queue.get(job.id)).version == before.version
        with pytest.raises(JobChanged):
            await CALLS[call](other.queue, job.id, before.version)
        assert (await other.queue.get(job.id)).status == "pending"


@each_call
async def test_who_gets_no_answer_of_its_holder_does_not_know(
    database: str, registry: Registry, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is not told that the job is changed. When the holder hears of it, it does it."""
    async with holder_and_others(database, registry) as nodes:
        job = await nodes[0].queue.submit("flaky")
        before = await seen(nodes[1], job.id, "pending")
        hear = participant.Participant._hear

        async def be_deaf(self: participant.Participant) -> None:
            await trio.lowlevel.checkpoint()

        monkeypatch.setattr(participant.Participant, "_hear", be_deaf)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await CALLS[call](nodes[1].queue, job.id, before.version)
        with pytest.raises(JobChanged):  # which it will be
            await CALLS["edit"](nodes[2].queue, job.id, before.version)
        monkeypatch.setattr(participant.Participant, "_hear", hear)
        with trio.fail_after(20):
            while (await nodes[1].queue.get(job.id)).version == before.version:
                await trio.sleep(0.01)
