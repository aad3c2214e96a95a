"""A job can be called off at any moment before its end, and its worker goes on."""

import threading
import uuid

import pytest
import trio
import trio.testing

from job_service.errors import AlreadyFinished, UnknownJob
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobCancelled
from tests.jobs.steps import MakeRig, endings, many_tasks, result_of, run_one, running


@pytest.fixture
def seen(registry: Registry) -> list[str]:
    """What the handlers of these tests did; each ends differently when it is cancelled."""
    seen: list[str] = []

    @registry.job("works")
    async def works() -> str:
        seen.append("works")
        return "done"

    @registry.job("long")
    async def long() -> None:
        seen.append("begun")
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            seen.append("cleaned up")

    @registry.job("untidy")
    async def untidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("the cleanup failed")

    @registry.job("stubborn")
    async def stubborn() -> str:
        with trio.move_on_after(3_600) as scope:
            await trio.lowlevel.checkpoint()
            scope.shield = True
            await trio.sleep(5)
        return "finished all the same"

    @registry.job("swallows")
    async def swallows() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "finished all the same"

    registry.job("many_tasks")(many_tasks)

    @registry.job("thread")
    def thread() -> None:
        threading.Event().wait(0.2)

    return seen


async def test_a_pending_job_is_called_off_at_once(
    seen: list[str], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """It never runs, and its place is free for the next submission."""
    rig = make_rig(workers=1, queue_capacity=1)
    await rig.start()
    blocker = await run_one(rig, "long")
    waiting = await run_one(rig, "works")
    detail = await rig.queue.cancel(waiting.id, "not needed")
    another = await rig.queue.submit("works")
    await rig.queue.cancel(blocker.id)
    await trio.testing.wait_all_tasks_blocked()

    assert (detail.status, detail.attempts) == ("cancelled", [])
    assert seen == ["begun", "cleaned up", "works"]
    assert (await rig.queue.get(another.id)).status == "completed"
    assert rig.record.names(waiting.id) == ["job_created", "job_enqueued", "job_cancelled"]
    assert [event.reason for event in rig.record.of(JobCancelled)] == ["not needed", "requested"]


async def test_a_running_job_ends_at_its_checkpoint_after_its_cleanup(
    seen: list[str], make_rig: MakeRig
) -> None:
    """It goes on until it has cleaned up; until then it is in progress, and then cancelled."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "long")
    detail = await rig.queue.cancel(job.id)
    assert (detail.status, seen) == ("processing", ["begun"])
    await trio.testing.wait_all_tasks_blocked()

    detail = await rig.queue.get(job.id)
    assert (detail.status, seen) == ("cancelled", ["begun", "cleaned up"])
    assert [attempt.outcome for attempt in detail.attempts] == ["cancelled"]
    (line,) = [line for line in rig.lines if line["event"] == "job_cancelled"]
    assert (line["reason"], line["attempt"], line["worker_id"]) == (
        "requested",
        1,
        detail.attempts[0].worker_id,
    )


async def test_an_error_in_the_cleanup_is_kept(seen: list[str], make_rig: MakeRig) -> None:
    """The job is cancelled, as was asked for, and its attempt tells what went wrong meanwhile."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "untidy")
    await rig.queue.cancel(job.id)
    await trio.testing.wait_all_tasks_blocked()

    detail = await rig.queue.get(job.id)
    assert (detail.status, detail.error) == ("cancelled", "OSError: the cleanup failed")
    assert endings(rig, job.id) == ["job_cancelled"]


@pytest.mark.parametrize("end", ["completed", "cancelled"])
async def test_what_has_ended_stays_as_it_is(end: str, seen: list[str], make_rig: MakeRig) -> None:
    """Calling off a finished job is refused, and the refusal tells how it had ended."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "works" if end == "completed" else "long")
    if end == "cancelled":
        await rig.queue.cancel(job.id)
        await trio.testing.wait_all_tasks_blocked()
    events = list(rig.record.events)

    with pytest.raises(AlreadyFinished, match=f"{job.id} is already {end}") as refusal:
        await rig.queue.cancel(job.id)
    assert refusal.value.job.status == end
    assert rig.record.events == events


@pytest.mark.parametrize("job_id", [str(uuid.UUID(int=7)), "", "no id at all"])
async def test_an_unknown_job_cant_be_called_off_nor_read(job_id: str, make_rig: MakeRig) -> None:
    """Neither a well-formed id nor any other text that names no job is found."""
    rig = make_rig()
    with pytest.raises(UnknownJob):
        await rig.queue.cancel(job_id)
    with pytest.raises(UnknownJob):
        await rig.queue.get(job_id)
    assert rig.record.events == []


async def test_a_job_that_finishes_all_the_same_is_completed(
    seen: list[str], make_rig: MakeRig
) -> None:
    """A handler that swallows its cancellation and returns has done its work, and that counts."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "swallows")
    await rig.queue.cancel(job.id)
    await trio.testing.wait_all_tasks_blocked()

    detail = await rig.queue.get(job.id)
    assert (detail.status, result_of(detail)) == ("completed", "finished all the same")
    assert endings(rig, job.id) == ["job_completed"]


ENDS = {
    "long": "job_cancelled",
    "untidy": "job_cancelled",
    "many_tasks": "job_cancelled",
    "thread": "job_cancelled",
    "swallows": "job_completed",
    "stubborn": "job_cancelled",  # for it shields itself for longer than it may
}


@pytest.mark.parametrize("job_type", ENDS)
async def test_its_worker_goes_on_with_the_next_job(
    job_type: str,
    seen: list[str],
    make_rig: MakeRig,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """However a handler takes its cancellation, jobs that wait for its worker are run after it."""
    rig = make_rig(workers=1)
    await rig.start()
    job = await run_one(rig, job_type)
    after = [await rig.queue.submit("works") for _ in range(3)]
    await rig.queue.cancel(job.id)
    await trio.sleep(6)

    assert endings(rig, job.id) == [ENDS[job_type]]
    assert seen.count("works") == 3
    assert all([(await rig.queue.get(other.id)).status == "completed" for other in after])
    assert rig.snapshot().workers_running == 1


async def test_a_job_can_call_itself_off(registry: Registry, make_rig: MakeRig) -> None:
    """A handler that cancels its own job is interrupted at its next checkpoint."""
    went_on: list[bool] = []

    @registry.job("itself")
    async def itself() -> None:
        (me,) = await rig.queue.list(status="processing")
        await rig.queue.cancel(me.id)
        await trio.lowlevel.checkpoint()
        went_on.append(True)

    rig = make_rig()
    await rig.start()
    detail = await run_one(rig, "itself")
    assert (detail.status, went_on) == ("cancelled", [])


async def test_a_cancelled_job_is_not_retried(registry: Registry, make_rig: MakeRig) -> None:
    """Being called off is no failure, whatever retries the job had left."""

    @registry.job("patient", retry=Retry(max_retries=5, base_seconds=0))
    async def patient() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("cut short")

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "patient")
    await rig.queue.cancel(job.id)
    await trio.testing.wait_all_tasks_blocked()
    assert rig.record.names(job.id)[-2:] == ["job_started", "job_cancelled"]


async def test_calling_off_what_runs_spares_what_starts_meanwhile(
    registry: Registry, autojump_clock: trio.testing.MockClock
) -> None:
    """Jobs that were still on their way to a worker have not been meant."""

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    async with running(registry, workers=10, grace=1) as rig:
        runs = await run_one(rig, "endless")
        start = await rig.queue.submit_all([rig.queue.check("endless")] * 9)
        done = await rig.queue.cancel_all("endless", status="processing")
        await trio.testing.wait_all_tasks_blocked()
        assert (done.cancelled, done.interrupted) == (0, 1)
        states = [(await rig.queue.get(job.id)).status for job in (runs, *start)]
        assert states == ["cancelled"] + ["processing"] * 9


async def test_a_clean_up_s_error_is_told_without_the_cancellation(
    registry: Registry, make_rig: MakeRig
) -> None:
    """A nursery raises both in one group; that the job was cancelled is said already."""
    registry.job("many_tasks")(many_tasks)
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "many_tasks")
    await rig.queue.cancel(job.id)
    await trio.testing.wait_all_tasks_blocked()
    assert (await rig.queue.get(job.id)).error == "ValueError: in a task of the handler's own"
    rig.engine.drain(0)
