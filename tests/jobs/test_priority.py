"""More urgent jobs come first, and among those that are equally urgent, the older ones."""

import random
from typing import Any

import pytest
import trio
import trio.testing

from job_service import JobContext, Registry, Retry, Snooze
from job_service.errors import InvalidOption
from job_service.telemetry.events import JobCreated, JobStarted
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, running
from tests.jobs.virtual_time import VIRTUAL

Autojump = trio.testing.MockClock


@pytest.fixture
def order(registry: Registry) -> list[Any]:
    """The payloads of jobs in the order in which they were run; `busy` keeps a worker so."""
    seen: list[Any] = []

    @registry.job("busy")
    async def busy(seconds: float) -> None:
        await trio.sleep(seconds)

    @registry.job("notes")
    async def notes(name: Any) -> None:
        seen.append(name)

    @registry.job("limited", concurrency=1)
    async def limited(name: Any) -> None:
        seen.append(name)

    @registry.job("fails_once", retry=Retry(base_seconds=5, jitter=0))
    async def fails_once(name: Any, job: JobContext) -> None:
        seen.append((name, job.attempt))
        if job.attempt == 1:
            raise RuntimeError("at first")

    @registry.job("snoozes_once")
    async def snoozes_once(name: Any) -> None:
        seen.append(name)
        if seen.count(name) == 1:
            raise Snooze(5)

    return seen


async def occupy(rig: Rig, seconds: float) -> None:
    """Keep the only worker busy, so that what is submitted now has to queue."""
    await rig.queue.submit("busy", seconds)
    await trio.testing.wait_all_tasks_blocked()


async def test_0_comes_first_and_9_last(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """Whoever says nothing has 5; who is equally urgent keeps the order of submission."""
    wanted = [(priority, place) for priority in range(10) for place in range(3)]
    shuffled = random.Random(7).sample(wanted, len(wanted))
    async with running(registry, workers=1) as rig:
        await occupy(rig, 1)
        for number, (priority, _) in enumerate(shuffled):
            if priority == 5:
                await rig.queue.submit("notes", (5, number))
            else:
                await rig.queue.submit("notes", (priority, number), priority=priority)
    in_order = sorted((priority, number) for number, (priority, _) in enumerate(shuffled))
    assert [tuple(name) for name in order] == in_order


async def test_a_batch_is_ordered_by_priority_too(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """Its jobs are jobs like any others."""
    async with running(registry, workers=1) as rig:
        await occupy(rig, 1)
        await rig.queue.submit("notes", "older", priority=3)
        check = rig.queue.check
        drafts = [check("notes", f"{n}", priority=n % 4) for n in range(8)]
        await rig.queue.submit_all(drafts)
    assert order == ["0", "4", "1", "5", "2", "6", "older", "3", "7"]


async def test_what_runs_is_not_interrupted_for_a_more_urgent_job(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """Priority is about who is next."""
    async with running(registry, workers=1) as rig:
        await occupy(rig, 10)
        urgent = await rig.queue.submit("notes", "urgent", priority=0)
        await trio.sleep(9)
        assert (await rig.queue.get(urgent.id)).status == "pending"
    starts = [(event.job_type, event.attempt) for event in rig.record.of(JobStarted)]
    assert starts == [("busy", 1), ("notes", 1)]


@pytest.mark.parametrize("job_type", ["fails_once", "snoozes_once"])
async def test_a_job_that_comes_back_keeps_its_priority(
    job_type: str, order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """It stands before less urgent ones that have waited for longer, and behind its like."""
    async with running(registry, workers=1) as rig:
        await rig.queue.submit(job_type, "comes back", priority=2)
        await trio.testing.wait_all_tasks_blocked()
        await occupy(rig, 10)
        await rig.queue.submit("notes", "as usual")
        await rig.queue.submit("notes", "its like", priority=2)
        await trio.sleep(7)  # by now it is back
        await rig.queue.submit("notes", "its younger like", priority=2)
        await rig.queue.submit("notes", "first", priority=0)
    back = ("comes back", 2) if job_type == "fails_once" else "comes back"
    assert order[1:] == ["first", "its like", back, "its younger like", "as usual"]


async def test_a_later_job_gets_in_line_when_it_is_due(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """By its priority, and by when it became due, not by when it was submitted."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        await occupy(rig, 10)
        await rig.queue.submit("notes", "urgent, due at 5", priority=1, delay_seconds=5)
        await rig.queue.submit("notes", "due at 5", delay_seconds=5)
        await rig.queue.submit("notes", "most urgent, due too late", priority=0, delay_seconds=12)
        await rig.queue.submit("notes", "of the start")
        await trio.sleep(7)
        await rig.queue.submit("notes", "urgent, of 7", priority=1)
        await rig.queue.submit("notes", "of 7")
        await rig.queue.submit("busy", 5, priority=9)
    assert order == [
        *("urgent, due at 5", "urgent, of 7", "of the start", "due at 5", "of 7"),
        "most urgent, due too late",
    ]


async def test_types_with_a_limit_and_types_without_stand_in_one_line(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """A type that may be held back has no advantage of it, and no disadvantage."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        await occupy(rig, 60)
        for number in range(12):
            job_type = "limited" if number % 3 else "notes"
            await rig.queue.submit(job_type, number, priority=6 - number // 4)
            await trio.sleep(1)
    assert order == [8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]


async def test_a_type_that_was_paused_is_where_it_was_in_the_line(
    order: list[Any], registry: Registry, autojump_clock: Autojump
) -> None:
    """A pause moves nobody but in time."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        await occupy(rig, 60)
        for number in range(6):
            job_type = "snoozes_once" if number == 3 else "notes"
            await rig.queue.submit(job_type, number, priority=number % 2)
            await trio.sleep(1)
        await rig.queue.pause("notes")
        await rig.queue.resume("notes")
    assert order == [0, 2, 4, 1, 3, 5, 3]


async def test_the_priority_is_told_where_it_is_not_the_usual_one(
    order: list[Any], registry: Registry
) -> None:
    """In the job's detail and its first line; and a job that is run again has it, too."""
    async with running(registry) as rig:
        jobs = [await rig.queue.submit("notes", priority=priority) for priority in (0, 5)]
        for job in jobs:
            await rig.queue.wait(job.id, 5)
        again = await rig.queue.retry(jobs[0].id)
        assert [job.priority for job in (*jobs, again)] == [0, 5, 0]
        assert (await rig.queue.get(again.id)).priority == 0
    created = rig.record.of(JobCreated)
    assert [event.priority == 0 for event in created] == [True, False, True]
    lines = [line for line in rig.lines if line["event"] == "job_created"]
    assert ["priority" in line for line in lines] == [True, False, True]


@pytest.mark.parametrize("priority", [-1, 10, 10**30])
async def test_there_are_no_other_priorities(
    priority: int, order: list[Any], make_rig: MakeRig
) -> None:
    """They are refused, and leave no trace."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match="priority must be a whole number between 0 and 9"):
        await rig.queue.submit("notes", priority=priority)
    assert rig.record.events == []


async def test_a_priority_between_two_is_refused(order: list[Any], make_rig: MakeRig) -> None:
    """There is no lane for it, and a job that waits in none would never start."""
    wanted: Any = {"priority": 5.5}
    rig = make_rig()
    with pytest.raises(InvalidOption, match="priority must be a whole number"):
        await rig.queue.submit("notes", **wanted)
    assert rig.snapshot().jobs_created == 0
