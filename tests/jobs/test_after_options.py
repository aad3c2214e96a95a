"""What a job may come after, and how that goes with all else it can be asked for."""

from typing import Any

import pytest
import trio
import trio.testing

from job_service.errors import InvalidOption, QueueFull, UnknownPredecessor
from job_service.jobs.queueing.options import MAX_PREDECESSORS
from job_service.jobs.registration.outcome import Discard, Snooze
from job_service.jobs.registration.registry import Registry
from tests.jobs.steps import (
    MakeRig,
    chain,
    check_no_job_awaits_another,
    run_one,
    running,
    virtual_clock,
    why_unstarted,
)

Autojump = trio.testing.MockClock


async def test_a_retry_or_a_snooze_is_no_end(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What is tried again may still complete, so what comes after it goes on waiting."""
    naps: list[float] = []

    @registry.job("sleepy")
    async def sleepy(payload: object) -> None:
        if not naps:
            naps.append(trio.current_time())
            raise Snooze(30)
        ran.append(payload)

    async with running(registry) as rig:
        first = [(await rig.queue.submit(name, name)).id for name in ("recovers", "sleepy")]
        job = await rig.queue.submit("quick", "last", after=first)
        await trio.sleep(25)
        assert (await rig.queue.get(job.id)).waits_because == f"waits for job {first[1]}"
    assert ran == ["recovers", "sleepy", "last"]
    assert trio.current_time() == 30


async def test_a_discard_is_an_end(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A job that gives up for good fails what comes after it, whatever retries it had left."""

    @registry.job("gives_up")
    async def gives_up() -> None:
        raise Discard("no such customer")

    async with running(registry) as rig:
        bad = await rig.queue.submit("gives_up")
        (_, last) = await chain(rig, bad.id, 1)
    assert (await rig.queue.get(last)).error == why_unstarted(bad.id, "failed")


async def test_it_may_be_retried_itself(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Once it has begun, what it came after is no matter any more."""
    async with running(registry) as rig:
        first = await rig.queue.submit("slow", "first")
        job = await rig.queue.submit("recovers", "second", after=[first.id])
        last = await rig.queue.submit("quick", "third", after=[job.id])
    assert ran == ["first", "second", "third"]
    assert (await rig.queue.get(last.id)).status == "completed"
    assert trio.current_time() == 30
    check_no_job_awaits_another(rig)


@pytest.mark.parametrize(("delay", "starts_at"), [(5, 10), (30, 30)])
async def test_its_time_must_have_come_as_well(
    delay: float, starts_at: float, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A delay counts from when the job was accepted, and whatever comes last lets it start."""
    moments: list[float] = []

    @registry.job("notes")
    async def notes() -> None:
        moments.append(trio.current_time())

    async with running(registry, clock=virtual_clock()) as rig:
        first = await rig.queue.submit("slow")
        job = await rig.queue.submit("notes", after=[first.id], delay_seconds=delay)
        why = (await rig.queue.get(job.id)).waits_because
        assert why == f"waits for job {first.id}"
        await trio.sleep(11)
        why = (await rig.queue.get(job.id)).waits_because
        assert why == ("due in 19 s" if delay == 30 else None)
    assert moments == [starts_at]


async def test_priority_counts_once_it_is_ready(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Among those whose time has come the urgent one is first, however long it had to wait."""
    async with running(registry, workers=1) as rig:
        first = await rig.queue.submit("slow", "first")
        await rig.queue.submit("quick", "other")
        await rig.queue.submit("quick", "least", after=[first.id], priority=9)
        await rig.queue.submit("quick", "urgent", after=[first.id], priority=0)
    assert ran == ["first", "urgent", "other", "least"]


async def test_a_unique_key_is_held_while_it_waits(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """It is pending, so no other is made; when it fails with its predecessor the key is free."""
    async with running(registry) as rig:
        bad = await rig.queue.submit("fails")
        job = await rig.queue.submit("quick", 1, after=[bad.id], unique_key="k")
        again = await rig.queue.submit("quick", 2, unique_key="k")
        assert (again.id, again.duplicate) == (job.id, True)
        await trio.sleep(10)
        await trio.testing.wait_all_tasks_blocked()
        free = await rig.queue.submit("quick", 3, unique_key="k")
        assert (free.duplicate, free.status) == (False, "pending")
    assert ran == [3]


async def test_an_id_that_is_named_twice_counts_once(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """The detail shows each once, in the order in which they were named."""
    async with running(registry) as rig:
        one, two = [(await rig.queue.submit("slow", n)).id for n in (1, 2)]
        job = await rig.queue.submit("quick", 3, after=[two, one, two, two])
        assert job.after == (two, one)
    assert ran[-1] == 3
    check_no_job_awaits_another(rig)


@pytest.mark.parametrize("unknown", ["nobody", "", "01890000-0000-7000-8000-000000000000"])
async def test_only_a_job_that_is_there_can_be_named(
    unknown: str, ran: list[object], make_rig: MakeRig
) -> None:
    """An id of no job is refused before anything has changed, and the refusal names it."""
    rig = make_rig()
    there = await rig.queue.submit("quick", 1)
    events = list(rig.record.events)
    with pytest.raises(UnknownPredecessor, match=f"there is no job {unknown} for it to come after"):
        await rig.queue.submit("quick", 2, after=[there.id, unknown])
    assert rig.record.events == events


async def test_what_has_been_forgotten_can_t_be_named(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Nobody can say any more whether it had completed. Those that wait already lose nothing."""
    async with running(registry, retain=1) as rig:
        first = await rig.queue.submit("quick", 1)
        slow = await rig.queue.submit("slow", 2)
        waiting = await rig.queue.submit("quick", 3, after=[first.id, slow.id])
        await trio.sleep(5)
        await run_one(rig, "quick", 4)
        with pytest.raises(UnknownPredecessor, match=first.id):
            await rig.queue.submit("quick", 5, after=[first.id])
        assert (await rig.queue.get(waiting.id)).waits_because == f"waits for job {slow.id}"
    assert ran == [1, 4, 2, 3]


async def test_a_repeated_submission_is_answered_whatever_has_been_forgotten(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A client that had no answer may ask again: its job was made when the other was there."""
    async with running(registry, retain=1) as rig:
        first = await run_one(rig, "quick", 1)
        job = await rig.queue.submit("slow", 2, after=[first.id], idempotency_key="once")
        await run_one(rig, "quick", 3)
        again = await rig.queue.submit("slow", 2, after=[first.id], idempotency_key="once")
        assert (again.id, again.replayed) == (job.id, True)


async def test_too_many_can_t_be_named(ran: list[object], make_rig: MakeRig) -> None:
    """There is a bound, and the refusal says which."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match=f"a list of at most {MAX_PREDECESSORS} ids"):
        await rig.queue.submit("quick", 1, after=["x"] * (MAX_PREDECESSORS + 1))


async def test_an_id_alone_is_no_list(ran: list[object], make_rig: MakeRig) -> None:
    """A text is a list of characters to Python, and none of them the id of a job."""
    rig = make_rig()
    job = await rig.queue.submit("quick", 1)
    with pytest.raises(InvalidOption, match="after must be a list"):
        await rig.queue.submit("quick", 2, after=job.id)


@pytest.mark.parametrize(
    "options",
    [
        {"delay_seconds": "5"},
        {"unique_key": 5},
        {"after": [5]},
        {"run_at": 5},
        {"priority": True},
        {"prio": 3},
    ],
)
async def test_what_is_no_option_is_refused(
    options: dict[str, Any], ran: list[object], make_rig: MakeRig
) -> None:
    """From Python as over HTTP: a value of another kind, and a name that nobody knows."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match=next(iter(options))):
        await rig.queue.submit("quick", 1, **options)
    assert rig.record.events == []


async def test_a_batch_may_come_after_a_job(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Each of its jobs waits for itself; where the job is unknown none of them is made."""
    async with running(registry, workers=1) as rig:
        first = await rig.queue.submit("slow", "first")
        drafts = [rig.queue.check("quick", n, after=[first.id]) for n in range(3)]
        await rig.queue.submit_all(drafts)
        await trio.testing.wait_all_tasks_blocked()
        assert ran == []
        with pytest.raises(UnknownPredecessor):
            await rig.queue.submit_all([drafts[0], rig.queue.check("quick", 9, after=["nobody"])])
        assert rig.snapshot().jobs_created == 4
    assert ran == ["first", 0, 1, 2]


async def test_it_has_a_place_in_the_queue(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What waits for others counts against the capacity, until it is cancelled or has failed."""
    async with running(registry, workers=1, queue_capacity=2) as rig:
        bad = await run_one(rig, "fails")
        one, two = [(await rig.queue.submit("quick", n, after=[bad.id])).id for n in (1, 2)]
        with pytest.raises(QueueFull):
            await rig.queue.submit("quick", 3)
        await rig.queue.cancel(two)
        await rig.queue.submit("quick", 4, after=[bad.id])
        await trio.sleep(10)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.get(one)).status == "failed"
        await rig.queue.submit_all([rig.queue.check("quick", n) for n in (5, 6)])
    assert ran == [5, 6]
