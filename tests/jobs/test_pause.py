"""The whole queue or one job type can be held back for a while; what runs goes on."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from job_service.errors import QueueFull, UnknownJobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import QueuePaused, QueueResumed
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, abandoned, check_the_end, run_one, running, virtual_clock

Autojump = trio.testing.MockClock

WHOLE_OR_TYPE = pytest.mark.parametrize("job_type", [None, "mail"], ids=["queue", "type"])


@pytest.fixture
def begun(registry: Registry) -> list[object]:
    """The payloads of `mail` and `other`, as they began; each takes 10 seconds."""
    payloads: list[object] = []

    @registry.job("mail")
    async def mail(payload: object) -> None:
        payloads.append(payload)
        await trio.sleep(10)

    @registry.job("other")
    async def other(payload: object) -> None:
        payloads.append(payload)
        await trio.sleep(10)

    @registry.job("fails", retry=Retry(max_retries=1, base_seconds=20, jitter=0))
    async def fails(payload: object) -> None:
        payloads.append(payload)
        await trio.sleep(1)
        raise RuntimeError("no")

    return payloads


def gauges(rig: Rig) -> tuple[int, int]:
    """What the metrics say of pauses: of the queue, and of how many types."""
    now = rig.snapshot()
    return now.queue_paused, now.job_types_paused


async def status(rig: Rig, job_id: str) -> str:
    """The state of a job."""
    return (await rig.queue.get(job_id)).status


@WHOLE_OR_TYPE
async def test_what_runs_goes_on_and_what_waits_goes_on_waiting(
    job_type: str | None, registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """For as long as the pause lasts nothing starts, though workers are free."""
    async with running(registry, workers=1) as rig:
        job = await run_one(rig, "mail", "running")
        waiting = await rig.queue.submit("mail", "waiting")
        await rig.queue.pause(job_type)
        await trio.sleep(1_000)
        assert await status(rig, job.id) == "completed"
        detail = await rig.queue.get(waiting.id)
        who = "the queue" if job_type is None else "mail"
        assert (detail.status, detail.waits_because) == ("pending", f"{who} is paused")
        assert [worker.state for worker in rig.engine.workers()] == ["idle"]
        await rig.queue.resume(job_type)
        await trio.testing.wait_all_tasks_blocked()
        assert await status(rig, waiting.id) == "processing"
    assert begun == ["running", "waiting"]


async def test_a_paused_type_holds_up_no_other(
    registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """Workers pass by what is held back, whether it came before the pause or since."""
    async with running(registry, workers=1) as rig:
        await run_one(rig, "other", "in the way")
        for n in range(3):
            await rig.queue.submit("mail", n, priority=0)
        await rig.queue.pause("mail")
        await rig.queue.submit("mail", 3, priority=0)
        await rig.queue.submit("other", "passes by")
        await trio.sleep(100)
        assert begun == ["in the way", "passes by"]
        await rig.queue.resume("mail")
    assert begun == ["in the way", "passes by", 0, 1, 2, 3]


@WHOLE_OR_TYPE
async def test_submissions_are_taken_as_ever(
    job_type: str | None, begun: list[object], make_rig: MakeRig
) -> None:
    """A pause holds back starts only; the capacity is the one bound, as always."""
    rig = make_rig(queue_capacity=3)
    await rig.start()
    await rig.queue.pause(job_type)
    jobs = [await run_one(rig, "mail", n) for n in range(3)]
    assert {job.status for job in jobs} == {"pending"}
    with pytest.raises(QueueFull):
        await rig.queue.submit("mail")
    assert begun == []
    rig.engine.stop("second_signal")


async def test_they_start_by_priority_and_then_in_the_order_of_their_coming(
    registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """After pauses of all kinds the order is as if there had been none."""
    async with running(registry, workers=1, grace=1_000) as rig:
        await rig.queue.pause()
        await rig.queue.submit("mail", "1st")
        await rig.queue.submit("other", "2nd")
        await rig.queue.pause("mail")
        await rig.queue.submit("mail", "3rd")
        await rig.queue.submit("other", "4th")
        await rig.queue.submit("mail", "first of all", priority=0)
        await rig.queue.submit("other", "last of all", priority=9)
        await rig.queue.pause("other")
        await rig.queue.submit("mail", "5th")
        await rig.queue.submit("other", "6th")
        for job_type in ("other", "mail", None):
            await rig.queue.resume(job_type)
    assert begun == ["first of all", "1st", "2nd", "3rd", "4th", "5th", "6th", "last of all"]


async def test_pauses_of_the_queue_and_of_types_are_independent(
    begun: list[object], make_rig: MakeRig
) -> None:
    """To lift one does not lift the other, and each shows in its own gauge."""
    rig = make_rig()
    await rig.start()
    assert gauges(rig) == (0, 0)
    await rig.queue.pause("mail")
    await rig.queue.pause()
    await rig.queue.pause("other")
    assert gauges(rig) == (1, 2)
    view = await rig.queue.resume()
    assert (view.paused, view.paused_types) == (False, ["mail", "other"])
    assert gauges(rig) == (0, 2)
    assert (await run_one(rig, "mail")).status == "pending"
    await rig.queue.pause()
    await rig.queue.resume("mail")
    await rig.queue.resume("other")
    assert gauges(rig) == (1, 0)
    assert (await run_one(rig, "mail")).status == "pending"
    assert [view.paused for view in await rig.queue.types()] == [False, False, False]
    rig.engine.stop("second_signal")


@WHOLE_OR_TYPE
async def test_to_pause_or_resume_twice_is_to_do_it_once(
    job_type: str | None, begun: list[object], make_rig: MakeRig
) -> None:
    """What is so already is told by no second line."""
    rig = make_rig()
    await rig.queue.resume(job_type)
    assert rig.record.events == []
    for _ in range(2):
        await rig.queue.pause(job_type)
    assert gauges(rig) == ((1, 0) if job_type is None else (0, 1))
    for _ in range(2):
        await rig.queue.resume(job_type)
    assert gauges(rig) == (0, 0)
    assert [type(event) for event in rig.record.events] == [QueuePaused, QueueResumed]
    for line in rig.lines:
        assert line.get("job_type") == job_type
        assert list(line)[3:] == ([] if job_type is None else ["job_type"])
    await rig.queue.pause(job_type)
    assert rig.record.names()[2:] == ["queue_paused"]


async def test_no_unknown_type_can_be_paused(begun: list[object], make_rig: MakeRig) -> None:
    """A slip of the pen holds nothing back, and is told."""
    rig = make_rig()
    for act in (rig.queue.pause, rig.queue.resume):
        with pytest.raises(UnknownJobType, match="mial"):
            await act("mial")
    assert rig.record.events == []


@WHOLE_OR_TYPE
async def test_a_held_back_job_can_be_called_off(
    job_type: str | None, begun: list[object], make_rig: MakeRig
) -> None:
    """It ends at once, gives its place back, and does not start when the pause is over."""
    rig = make_rig(queue_capacity=1)
    await rig.start()
    await rig.queue.pause(job_type)
    job = await run_one(rig, "mail", "called off")
    assert (await rig.queue.cancel(job.id)).status == "cancelled"
    assert (await rig.queue.view()).ready == 0
    await rig.queue.submit("mail", "in its place")
    await rig.queue.resume(job_type)
    await trio.testing.wait_all_tasks_blocked()
    assert begun == ["in its place"]
    rig.engine.stop("second_signal")


async def test_a_job_that_becomes_due_in_a_pause_waits_for_its_end(
    registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """Later jobs, retries, and those that come after others are held back like any."""
    async with running(registry, clock=virtual_clock(), grace=1_000) as rig:
        await rig.queue.submit("fails", "retried")
        first = await rig.queue.submit("mail", "first")
        await rig.queue.submit("mail", "later", delay_seconds=15)
        await rig.queue.submit("mail", "after", after=[first.id])
        await trio.sleep(5)
        await rig.queue.pause()
        await trio.sleep(95)
        assert (sorted(map(str, begun)), rig.snapshot().jobs_ready) == (["first", "retried"], 3)
        view = await rig.queue.view()
        assert (view.ready, view.later, view.blocked, view.processing) == (3, 0, 0, 0)
        assert view.oldest_ready_seconds == 90
        await rig.queue.resume()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(map(str, begun[2:])) == ["after", "later"]  # ready before the retry was
    assert begun[4:] == ["retried"]


@WHOLE_OR_TYPE
async def test_a_drain_does_not_wait_for_what_is_paused(
    job_type: str | None, registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """It finishes what runs, and leaves what is held back, each job with its line that says so."""
    async with running(registry, grace=1_000) as rig:
        await run_one(rig, "mail", "running")
        await rig.queue.pause(job_type)
        await rig.queue.submit("mail", "held back")
        if job_type:
            await rig.queue.submit("other", "not held back")
    assert begun == (["running", "not held back"] if job_type else ["running"])
    assert abandoned(rig) == [("mail", "paused", False)]
    assert (trio.current_time(), rig.engine.outcome) == (10, "drained")


@WHOLE_OR_TYPE
async def test_a_drain_does_not_wait_for_the_moment_at_which_a_job_will_be_held_back(
    job_type: str | None, registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """What would be due in time, but into a pause, is left at once as well."""
    async with running(registry, clock=virtual_clock(), grace=1_000) as rig:
        await rig.queue.submit("mail", "later", delay_seconds=500)
        await rig.queue.pause(job_type)
    assert abandoned(rig) == [("mail", "paused", False)]
    assert trio.current_time() == 0


@WHOLE_OR_TYPE
async def test_a_pause_in_a_drain_ends_the_wait_for_what_it_holds_back(
    job_type: str | None, registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """With nothing else to do, the drain is over at that moment."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, clock=virtual_clock())
        await rig.start()
        await rig.queue.submit("mail", "later", delay_seconds=500)
        rig.engine.drain(1_000)
        await trio.sleep(100)
        await rig.queue.pause(job_type)
    check_the_end(rig)
    assert abandoned(rig) == [("mail", "paused", False)]
    assert trio.current_time() == 100


async def test_a_drain_still_waits_for_what_is_not_paused(
    registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """Where another type is paused, a later job is run when its time has come."""
    async with running(registry, clock=virtual_clock(), grace=1_000) as rig:
        await rig.queue.submit("other", "held back", delay_seconds=10)
        await rig.queue.submit("mail", "later", delay_seconds=500)
        await rig.queue.pause("other")
    assert begun == ["later"]
    assert abandoned(rig) == [("other", "paused", False)]


Act = Callable[[Rig], Awaitable[object]]

IN_A_DRAIN: dict[str, tuple[Act, list[object], list[str]]] = {
    "paused": (lambda rig: rig.queue.pause(), ["running"], ["paused"]),
    "paused by type": (lambda rig: rig.queue.pause("mail"), ["running"], ["paused"]),
    "resumed": (lambda rig: rig.queue.resume("other"), ["running", "mail", "other"], []),
}


@pytest.mark.parametrize(("act", "began", "reasons"), IN_A_DRAIN.values(), ids=IN_A_DRAIN.keys())
async def test_pauses_may_begin_and_end_during_a_drain(
    act: Act,
    began: list[object],
    reasons: list[str],
    registry: Registry,
    begun: list[object],
    autojump_clock: Autojump,
) -> None:
    """Until the last job is done the person on call has the queue in hand."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        await run_one(rig, "mail", "running")
        await rig.queue.submit("mail", "mail")
        if reasons == []:
            await rig.queue.pause("other")
            await rig.queue.submit("other", "other")
        rig.engine.drain(1_000)
        await trio.sleep(5)
        await act(rig)
    check_the_end(rig)
    assert begun == began
    assert [reason for _, reason, _ in abandoned(rig)] == reasons
    assert trio.current_time() == 10 * len(began)


async def test_what_was_paused_while_it_ran_is_counted_right_afterwards(
    registry: Registry, begun: list[object], autojump_clock: Autojump
) -> None:
    """A pause in the midst of work upsets no limit: types with one and without go on as before."""
    most = 0
    now = 0

    @registry.job("limited", concurrency=1)
    async def limited() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await trio.sleep(10)
        now -= 1

    async with running(registry, workers=4, grace=1_000) as rig:
        await run_one(rig, "mail", "before")
        for _ in range(3):
            await rig.queue.submit("limited")
        for _ in range(3):
            for job_type in ("limited", "mail"):
                await rig.queue.pause(job_type)
            await trio.sleep(6)
            for job_type in ("limited", "mail"):
                await rig.queue.resume(job_type)
            await run_one(rig, "mail", "after")
    assert (most, rig.snapshot().jobs_completed) == (1, 7)
