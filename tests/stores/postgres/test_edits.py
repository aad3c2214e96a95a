"""A job that waits is changed by whichever process is asked, wherever the job is."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trio

from job_service.errors import NotPending, WaitsForJobs
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.model import Edit
from job_service.telemetry.events import JobEdited, JobMisfit, JobRetried
from tests.stores.postgres.service import Service, services

HOUR = 3_600.0
PAYLOAD = Edit(payload=b"3")


@pytest.fixture
def registry() -> Registry:
    """Jobs that give their payload back."""
    registry = Registry()

    @registry.job("echo")
    async def echo(payload: object) -> object:
        return payload

    @registry.job("flaky", retry=Retry(max_retries=1, base_seconds=60, jitter=0))
    async def flaky(payload: object, job: JobContext) -> object:
        if job.attempt == 1:
            raise RuntimeError("at first")
        return payload

    return registry


async def result_of(service: Service, job_id: str) -> object:
    """Of a job that is to complete."""
    job = await service.ended(job_id)
    assert job.status == "completed"
    assert job.result is not None
    return msgspec.json.decode(job.result)


async def test_a_job_that_nobody_holds_is_changed_by_any_process(
    database: str, registry: Registry
) -> None:
    """And run now by another one; each change is told once."""
    async with services(database, registry) as (first, second, third):
        job = await first.queue.submit("echo", 1, delay_seconds=HOUR)
        edited = await second.queue.edit(job.id, payload=2, priority=1)
        assert (edited.priority, bytes(edited.payload), edited.edits) == (1, b"2", 1)
        edited = await third.queue.edit(job.id, run_at=datetime(2030, 1, 1, tzinfo=UTC))
        assert edited.run_at == datetime(2030, 1, 1, tzinfo=UTC)
        await second.queue.run_now(job.id)
        assert await result_of(first, job.id) == 2
        assert (await third.queue.get(job.id)).priority == 1
        said = [len(each.said(JobEdited)) for each in (first, second, third)]
        assert said == [0, 2, 1]


@pytest.mark.parametrize("asked", [0, 1])
async def test_a_job_that_another_process_holds_is_changed_there(
    database: str, registry: Registry, asked: int
) -> None:
    """Which is told to do it, and answers soon."""
    async with services(database, registry, number=1, stays_seconds=HOUR) as (holder,):
        job = await holder.queue.submit("flaky", 1)
        with trio.fail_after(10):
            while not holder.said(JobRetried):
                await trio.sleep(0.01)
        async with services(database, Registry(), number=1) as (other,):
            service = (holder, other)[asked]
            began = trio.current_time()
            edited = await service.queue.edit(job.id, priority=2)
            assert (edited.status, edited.priority) == ("pending", 2)
            await other.store.edit(job.id, PAYLOAD)
            await service.queue.run_now(job.id)
            assert await result_of(service, job.id) == 3
            assert trio.current_time() < began + 10
            assert (len(holder.said(JobEdited)), other.said(JobEdited)) == (3, [])


async def test_a_job_is_put_off_that_another_process_holds(
    database: str, registry: Registry
) -> None:
    """That one gives it back, because it is not due soon."""
    async with services(database, registry, number=2, stays_seconds=120) as (holder, other):
        job = await holder.queue.submit("flaky", 1)
        with trio.fail_after(10):
            while not holder.said(JobRetried) and not other.said(JobRetried):
                await trio.sleep(0.01)
        later = datetime.now(UTC) + timedelta(days=1)
        for service in (holder, other):
            assert (await service.queue.edit(job.id, run_at=later)).run_at == later
        assert (await other.queue.nodes())[0].waiting == 0
        await holder.queue.run_now(job.id)
        assert await result_of(other, job.id) == 1


async def test_what_can_not_be_changed_is_refused_by_any_process(database: str) -> None:
    """As by the one that runs it."""
    registry = Registry()
    gate = trio.Event()

    @registry.job("slow")
    async def slow() -> None:
        await gate.wait()

    async with services(database, registry, number=2) as nodes:
        job = await nodes[0].queue.submit("slow")
        after = await nodes[0].queue.submit("slow", after=(job.id,))
        with trio.fail_after(10):
            while (await nodes[0].queue.get(job.id)).status == "pending":
                await trio.sleep(0.01)
        for node in nodes:
            with pytest.raises(NotPending, match="already processing"):
                await node.queue.run_now(job.id)
            with pytest.raises(WaitsForJobs):
                await node.queue.run_now(after.id)
        gate.set()
        await nodes[0].ended(after.id)
        for node in nodes:
            with pytest.raises(NotPending, match="already completed"):
                await node.queue.edit(after.id, priority=1)


async def test_a_job_that_did_not_fit_is_run_when_its_payload_was_changed(database: str) -> None:
    """By the very process that could not run it, whichever was asked."""
    registry = Registry()

    @registry.job("count")
    async def count(number: int) -> int:
        return number

    loose = Registry()

    @loose.job("count")
    async def take(payload: object) -> None: ...

    async with services(database, loose, number=1) as (old,):
        job = await old.queue.submit("count", "one", delay_seconds=0.5)
        await old.queue.pause("count")
        async with services(database, registry, number=1) as (new,):
            old.engine.drain(1)
            await new.queue.resume("count")
            with trio.fail_after(10):
                while not new.said(JobMisfit):
                    await trio.sleep(0.01)
            await new.queue.edit(job.id, payload=1)
            assert await result_of(new, job.id) == 1
