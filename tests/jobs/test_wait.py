"""Waiting for a job: as long as it takes, as long as was asked for, and no longer."""

import threading

import pytest
import trio
import trio.testing

from job_service.errors import UnknownJob
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, run_one

Autojump = trio.testing.MockClock


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("minute")
    async def minute() -> str:
        await trio.sleep(60)
        return "done"


async def wait_for(rig: Rig, job_id: str, seconds: float = 1_000) -> tuple[JobDetail, float]:
    """The detail that the waiter was told, and how long it took."""
    start = trio.current_time()
    with trio.fail_after(seconds + 1_000):
        detail = await rig.queue.wait(job_id, seconds)
    return detail, trio.current_time() - start


async def test_a_waiter_is_told_as_soon_as_the_job_ends(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Not before, and without asking again."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "minute")
    detail, seconds = await wait_for(rig, job.id)
    assert (detail.status, bytes(detail.result or b"")) == ("completed", b'"done"')
    assert seconds == pytest.approx(60)


async def test_a_waiter_whose_time_is_over_is_told_how_the_job_is(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The job goes on as if nobody had waited."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "minute")
    detail, seconds = await wait_for(rig, job.id, 10)
    assert detail.status == "processing"
    assert seconds == pytest.approx(10)
    assert (await wait_for(rig, job.id))[0].status == "completed"


@pytest.mark.parametrize("seconds", [0, 1_000])
async def test_a_job_that_has_ended_is_told_at_once(
    seconds: float, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """There is nothing to wait for."""
    rig = make_rig()
    job = await run_one(rig, "minute")
    await rig.queue.cancel(job.id)
    detail, took = await wait_for(rig, job.id, seconds)
    assert (detail.status, took) == ("cancelled", 0)


async def test_a_job_that_is_forgotten_when_it_ends_is_told_to_who_waited(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """With --retain 0 the waiters are the only ones to learn of its end."""
    rig = make_rig(retain=0)
    await rig.start()
    job = await run_one(rig, "minute")
    assert (await wait_for(rig, job.id))[0].status == "completed"
    with pytest.raises(UnknownJob, match=f"no job {job.id}, or it is no longer kept"):
        await rig.queue.wait(job.id, 1_000)


async def test_the_end_of_the_service_is_the_end_of_the_wait(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """What is left behind has ended, too."""
    rig = make_rig(workers=1)
    await rig.start()
    jobs = [await run_one(rig, "minute") for _ in range(2)]
    told: list[str] = []

    async def wait(job_id: str) -> None:
        told.append((await rig.queue.wait(job_id, 1_000)).status)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for job in jobs:
                nursery.start_soon(wait, job.id)
            await trio.testing.wait_all_tasks_blocked()
            rig.engine.stop("second_signal")
    assert told == ["abandoned", "abandoned"]


async def test_thousands_may_wait_for_one_job(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """All of them are told, and one who goes away is nobody's loss."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "minute")
    told: list[str] = []

    async def wait() -> None:
        told.append((await rig.queue.wait(job.id, 1_000)).status)

    async with trio.open_nursery() as nursery:
        for _ in range(3_000):
            nursery.start_soon(wait)
        with trio.move_on_after(1) as gave_up:
            await rig.queue.wait(job.id, 1_000)
        assert gave_up.cancelled_caught
        assert told == []
    assert told == ["completed"] * 3_000


async def test_jobs_can_be_left_behind_from_a_thread_while_they_are_waited_for(
    make_rig: MakeRig,
) -> None:
    """If the loop is blocked, jobs are given their end from another thread, all the same."""
    rig = make_rig(clock=Clock())  # Trio's can't be read there
    jobs = [await rig.queue.submit("minute") for _ in range(2)]
    errors: list[BaseException] = []

    def abandon() -> None:
        try:
            rig.engine.abandon_the_rest("loop_blocked")
        except BaseException as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.queue.wait, jobs[0].id, 1_000)
        await trio.testing.wait_all_tasks_blocked()
        thread = threading.Thread(target=abandon)
        thread.start()
        thread.join(10)
        nursery.cancel_scope.cancel()
    assert errors == []
    assert [job.status for job in await rig.queue.list()] == ["abandoned", "abandoned"]
    assert rig.snapshot().jobs_abandoned == 2
