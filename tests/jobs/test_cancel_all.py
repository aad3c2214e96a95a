"""All jobs of a type can be called off in one go."""

from typing import Literal

import pytest
import trio
import trio.testing

from job_service.errors import UnknownJobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobCancelled
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, run_one, running

Autojump = trio.testing.MockClock


@pytest.fixture(autouse=True)
def begun(registry: Registry) -> list[str]:
    """The types of the jobs that began, in their order; `report` and `other` take a minute."""
    names: list[str] = []

    @registry.job("report")
    async def report() -> None:
        names.append("report")
        await trio.sleep(60)

    @registry.job("other")
    async def other() -> None:
        names.append("other")
        await trio.sleep(60)

    @registry.job("fails", retry=Retry(base_seconds=100))
    async def fails() -> None:
        raise RuntimeError("no")

    @registry.job("cleans")
    async def cleans() -> None:
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    return names


async def states(rig: Rig, job_type: str) -> list[str]:
    """The states of all jobs of this type, the oldest first."""
    return [job.status for job in await rig.queue.list(job_type=job_type, limit=100_000)]


async def test_all_of_a_type_are_called_off_and_no_others(
    registry: Registry, begun: list[str], autojump_clock: Autojump
) -> None:
    """Those that wait end at once, those that run at their checkpoint, and none starts instead."""
    async with running(registry, workers=2) as rig:
        await run_one(rig, "other")
        for job_type in ("report", "report", "other", "report"):
            await run_one(rig, job_type)
        await rig.queue.submit("report", delay_seconds=50)
        done = await rig.queue.cancel_all("report", reason="not needed")
        assert (done.cancelled, done.interrupted) == (3, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert await states(rig, "report") == ["cancelled"] * 4
        assert await states(rig, "other") == ["processing", "processing"]
        assert {event.reason for event in rig.record.of(JobCancelled)} == {"not needed"}
    assert begun == ["other", "report", "other"]


@pytest.mark.parametrize(
    ("status", "counts", "left"),
    [
        ("pending", (2, 0), ["processing", "cancelled", "cancelled"]),
        ("processing", (0, 1), ["cancelled", "processing", "pending"]),
    ],
)
async def test_it_may_be_only_those_that_wait_or_only_those_that_run(
    status: Literal["pending", "processing"],
    counts: tuple[int, int],
    left: list[str],
    registry: Registry,
    autojump_clock: Autojump,
) -> None:
    """A worker that becomes free by it goes on with the next, which is spared."""
    async with running(registry, workers=1, grace=1_000) as rig:
        for _ in range(3):
            await run_one(rig, "report")
        done = await rig.queue.cancel_all("report", status=status)
        assert (done.cancelled, done.interrupted) == counts
        await trio.testing.wait_all_tasks_blocked()
        assert await states(rig, "report") == left


async def test_where_there_are_none_nothing_is_done(make_rig: MakeRig) -> None:
    """Neither jobs of other types nor those that have ended are touched."""
    rig = make_rig()
    ended = await rig.queue.submit("report")
    await rig.queue.cancel(ended.id)
    await rig.queue.submit("other")
    events = list(rig.record.events)
    for _ in range(2):
        done = await rig.queue.cancel_all("report")
        assert (done.cancelled, done.interrupted) == (0, 0)
    assert rig.record.events == events
    with pytest.raises(UnknownJobType):
        await rig.queue.cancel_all("nobody")


async def test_one_that_is_being_interrupted_already_is_not_counted_again(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """It takes its time to clean up; whoever asks a second time has not interrupted anything."""
    async with running(registry) as rig:
        job = await run_one(rig, "cleans")
        assert (await rig.queue.cancel_all("cleans")).interrupted == 1
        await trio.sleep(1)
        assert (await rig.queue.cancel_all("cleans")).interrupted == 0
        assert (await rig.queue.get(job.id)).cancel_requested
    assert await states(rig, "cleans") == ["cancelled"]


async def test_those_that_come_after_each_other_are_called_off_too(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """None of them fails because the one before it was cancelled: all were, as was asked for."""
    async with running(registry) as rig:
        job = await run_one(rig, "report")
        for _ in range(5):
            job = await run_one(rig, "report", after=[job.id])
        other = await rig.queue.submit("other", after=[job.id])
        done = await rig.queue.cancel_all("report")
        assert (done.cancelled, done.interrupted) == (5, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert await states(rig, "report") == ["cancelled"] * 6
        error = (await rig.queue.get(other.id)).error
        assert error == f"job {job.id}, which it was to follow, was cancelled"


async def test_jobs_in_every_kind_of_wait_are_called_off(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """Paused, later, to be retried, or after another: none of them is left anywhere."""
    async with running(registry) as rig:
        await run_one(rig, "fails")
        await rig.queue.pause("fails")
        await run_one(rig, "fails")
        await run_one(rig, "fails", delay_seconds=5)
        first = await run_one(rig, "other")
        await run_one(rig, "fails", after=[first.id])
        done = await rig.queue.cancel_all("fails")
        assert (done.cancelled, done.interrupted) == (4, 0)
        view = await rig.queue.view()
        assert (view.pending, view.ready, view.later, view.blocked) == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["ready", "later", "chained"])
async def test_thousands_leave_the_queue_at_once(
    kind: str, begun: list[str], make_rig: MakeRig
) -> None:
    """They give back their places, and other tasks have their turns meanwhile."""
    many = 3_000
    rig = make_rig(queue_capacity=many, retain=many)
    after: list[str] = []
    for _ in range(many):
        delay = 5 if kind == "later" else None
        job = await rig.queue.submit("report", delay_seconds=delay, after=after)
        after = [job.id] if kind == "chained" else []
    assert rig.store._live.capacity.room == 0
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        done = await rig.queue.cancel_all("report")
        nursery.cancel_scope.cancel()
    assert (done.cancelled, done.interrupted) == (many, 0)
    assert turns >= many / 100 / 2
    view = await rig.queue.view()
    assert (view.pending, view.ready, view.later, view.blocked) == (0, 0, 0, 0)
    await rig.queue.submit_all([rig.queue.check("other") for _ in range(many)])
    assert rig.snapshot().jobs_cancelled == many


async def test_those_that_come_in_meanwhile_are_spared(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """A submission after the call was made is not meant, however long the call takes."""
    async with running(registry, workers=1, queue_capacity=10_000) as rig:
        await run_one(rig, "other")
        await rig.queue.submit_all([rig.queue.check("report")] * 950)
        new: list[str] = []

        async def submit_more() -> None:
            while True:
                new.append((await rig.queue.submit("report")).id)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit_more)
            await trio.lowlevel.checkpoint()
            came_before = len(new)
            done = await rig.queue.cancel_all("report")
            nursery.cancel_scope.cancel()
        assert (done.cancelled, done.interrupted) == (950 + came_before, 0)
        assert len(new) > came_before
        statuses = {(await rig.queue.get(job_id)).status for job_id in new[came_before:]}
        assert statuses == {"pending"}
        await rig.queue.cancel_all("report")
