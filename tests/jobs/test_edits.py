"""A job that waits can be given another time, priority or payload, and be run now."""

from datetime import timedelta
from typing import Any

import pytest
import trio
import trio.testing

from job_service.errors import InvalidOption, InvalidPayload, NotPending, UnknownJob
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.outcome import Snooze
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobEdited
from tests.jobs.steps import MakeRig, run_one, running
from tests.jobs.virtual_time import VIRTUAL, moment

Autojump = trio.testing.MockClock


@pytest.fixture
def starts(registry: Registry) -> list[tuple[float, Any]]:
    """When each attempt began, and with which payload."""
    seen: list[tuple[float, Any]] = []

    @registry.job("notes")
    async def notes(name: str) -> None:
        seen.append((trio.current_time(), name))

    @registry.job("slow", concurrency=1)
    async def slow(name: str) -> None:
        seen.append((trio.current_time(), name))
        await trio.sleep(10)

    @registry.job("flaky", retry=Retry(max_retries=1, base_seconds=1_000, jitter=0))
    async def flaky(name: str, job: JobContext) -> None:
        seen.append((trio.current_time(), name))
        if job.attempt == 1:
            raise RuntimeError("at first")

    @registry.job("sleepy")
    async def sleepy(name: str, job: JobContext) -> None:
        seen.append((trio.current_time(), name))
        if job.attempt == 1:
            raise Snooze(1_000)

    return seen


@pytest.mark.parametrize("options", [{"delay_seconds": 600}, {"run_at": moment(600)}])
async def test_a_job_for_later_starts_when_it_is_to_run_now(
    options: Any, starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """At once, and not again when its time comes."""
    async with running(registry, clock=VIRTUAL) as rig:
        job = await run_one(rig, "notes", "later", **options)
        await trio.sleep(5)
        await rig.queue.run_now(job.id)
        await trio.testing.wait_all_tasks_blocked()
        assert starts == [(5, "later")]
        await trio.sleep(1_000)
    assert starts == [(5, "later")]


@pytest.mark.parametrize("job_type", ["flaky", "sleepy"])
async def test_a_retried_or_snoozed_job_starts_when_it_is_to_run_now(
    job_type: str,
    starts: list[tuple[float, Any]],
    registry: Registry,
    autojump_clock: Autojump,
) -> None:
    """With the retries that it has."""
    async with running(registry, clock=VIRTUAL) as rig:
        job = await run_one(rig, job_type, "again")
        assert job.run_at == moment(1_000)
        await trio.sleep(5)
        await rig.queue.run_now(job.id)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.get(job.id)).status == "completed"
    assert starts == [(0, "again"), (5, "again")]


async def test_a_pause_and_a_limit_hold_back_what_is_to_run_now(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """It waits for its turn like any other ready job."""
    async with running(registry, clock=VIRTUAL) as rig:
        await run_one(rig, "slow", "first")
        second = await run_one(rig, "slow", "second", delay_seconds=600)
        await rig.queue.pause("notes")
        third = await run_one(rig, "notes", "third", delay_seconds=600)
        for job in (second, third):
            await rig.queue.run_now(job.id)
        waits = [(await rig.queue.get(job.id)).waits_because for job in (second, third)]
        assert waits == ["held back: slow runs 1 of at most 1", "notes is paused"]
        await rig.queue.resume("notes")
    assert sorted(starts) == [(0, "first"), (0, "third"), (10, "second")]


@pytest.mark.parametrize("options", [{}, {"delay_seconds": 60}, {"run_at": moment(60)}])
async def test_a_job_is_put_off_or_preferred(
    options: Any, starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Whether it is ready or not, its new time counts, and no other."""
    async with running(registry, workers=1, clock=VIRTUAL, grace=1_000) as rig:
        await run_one(rig, "slow", "busy")
        job = await run_one(rig, "notes", "put off", **options)
        await rig.queue.edit(job.id, run_at=moment(300))
        assert (await rig.queue.get(job.id)).waits_because == "due in 300 s"
        now = rig.snapshot()
        assert (now.jobs_pending, now.jobs_ready) == (1, 0)
    assert starts == [(0, "busy"), (300, "put off")]


async def test_ready_jobs_start_in_the_order_of_their_new_priorities(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """One that is changed goes behind those that had its new priority before."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        await run_one(rig, "slow", "busy")
        names = {"a": 5, "b": 5, "c": 1, "d": 5}
        jobs = {name: await run_one(rig, "notes", name, priority=p) for name, p in names.items()}
        await rig.queue.edit(jobs["d"].id, priority=1)
        await rig.queue.edit(jobs["a"].id, priority=5)
        assert rig.snapshot().jobs_ready == 4
        assert (await rig.queue.get(jobs["d"].id)).waits_because == (
            "waits for a free worker; 1 ahead of it"
        )
    assert [name for _, name in starts[1:]] == ["c", "d", "b", "a"]


async def test_a_delayed_job_keeps_its_time_with_another_priority(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """And has the new priority when it is due."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        await run_one(rig, "slow", "busy", delay_seconds=25)
        jobs = [await run_one(rig, "notes", name, delay_seconds=30) for name in "ab"]
        await rig.queue.edit(jobs[1].id, priority=0)
    assert starts == [(25, "busy"), (35, "b"), (35, "a")]


async def test_the_limit_of_the_new_payload_holds(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """The job waits for its turn among those of its new key, and no longer among the others."""
    starts = []

    @registry.job("sync", concurrency=1, per=lambda tenant: tenant)
    async def sync(tenant: str) -> None:
        starts.append((trio.current_time(), tenant))
        await trio.sleep(10)

    async with running(registry, workers=9, clock=VIRTUAL) as rig:
        for tenant in ("a", "b"):
            await run_one(rig, "sync", tenant)
        jobs = [await run_one(rig, "sync", "a") for _ in range(2)]
        await rig.queue.edit(jobs[0].id, payload="b")
        await trio.sleep(5)
        await rig.queue.edit(jobs[1].id, payload="c")
    assert starts == [(0, "a"), (0, "b"), (5, "c"), (10, "b")]


async def test_the_handler_gets_the_new_payload(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Whatever it was before, and at each attempt from now on."""
    async with running(registry, clock=VIRTUAL) as rig:
        job = await run_one(rig, "flaky", "befor")
        await rig.queue.edit(job.id, payload="after")
        await rig.queue.run_now(job.id)
    assert starts == [(0, "befor"), (0, "after")]


async def test_what_can_not_be_is_refused_and_changes_nothing(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """As with a submission."""
    rig = make_rig(clock=VIRTUAL)
    job = await rig.queue.submit("notes", "later", delay_seconds=60)
    before = list(rig.record.events)
    with pytest.raises(InvalidPayload):
        await rig.queue.edit(job.id, payload=1)
    for options in (
        {},
        {"priority": 10},
        {"run_at": moment(9).replace(tzinfo=None)},
        {"run_at": moment(0) + timedelta(days=36_500)},
    ):
        with pytest.raises(InvalidOption):
            await rig.queue.edit(job.id, **options)
    with pytest.raises(UnknownJob):
        await rig.queue.edit("nobody", payload="x")
    with pytest.raises(UnknownJob):
        await rig.queue.run_now("nobody")
    assert rig.record.events == before


async def test_one_that_is_about_to_start_stays_as_it_is(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A worker has been given it, and begins in its next turn."""
    rig = make_rig(clock=VIRTUAL)
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    job = await rig.queue.submit("notes", "at once")
    with pytest.raises(NotPending, match="about to start"):
        await rig.queue.edit(job.id, run_at=moment(60))
    await trio.testing.wait_all_tasks_blocked()
    assert starts == [(0, "at once")]
    assert rig.record.of(JobEdited) == []
