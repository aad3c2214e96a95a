"""What is told of the queue and of the job types agrees with the metrics at every moment."""

import random
from contextlib import suppress

import pytest
import trio
import trio.testing

from job_service.errors import AlreadyFinished
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.outcome import Snooze
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.model import Status
from tests.conftest import Rig
from tests.jobs.steps import at_once, running

STATUSES: tuple[Status, ...] = (
    *("pending", "processing", "completed", "failed", "cancelled", "abandoned"),
)


@pytest.fixture
def names(registry: Registry) -> list[str]:
    """Job types that end in all ways, and come back in all ways, each after a second or more."""
    retry = Retry(max_retries=1, base_seconds=4, jitter=0)

    @registry.job("works")
    async def works() -> None:
        await trio.sleep(2)

    @registry.job("limited", concurrency=1)
    async def limited() -> None:
        await trio.sleep(3)

    @registry.job("fails", retry=retry)
    async def fails() -> None:
        await trio.sleep(1)
        raise RuntimeError("no")

    @registry.job("recovers", retry=retry, concurrency=2)
    async def recovers(job: JobContext) -> None:
        await trio.sleep(1)
        if job.attempt == 1:
            raise RuntimeError("at first")

    @registry.job("too_slow", retry=retry, timeout=2)
    async def too_slow() -> None:
        await trio.sleep_forever()

    asleep: set[str] = set()

    @registry.job("sleepy")
    async def sleepy(job: JobContext) -> None:
        await trio.sleep(1)
        if job.id not in asleep:
            asleep.add(job.id)
            raise Snooze(3)

    return ["works", "limited", "fails", "recovers", "too_slow", "sleepy"]


async def check_all_agree(rig: Rig) -> None:
    """Metrics, types, queue, list and workers agree."""
    now = rig.snapshot()
    types = await rig.queue.types()
    listed = {
        (view.type, status): len(
            await rig.queue.list(job_type=view.type, status=status, limit=10_000)
        )
        for view in types
        for status in STATUSES
    }
    for view in types:
        for status in STATUSES:
            assert getattr(view, status) == listed[view.type, status]
    in_metrics = {status: getattr(now, f"jobs_{status}") for status in STATUSES[2:]}
    in_metrics |= {"pending": now.jobs_pending, "processing": now.jobs_in_progress}
    for status in STATUSES:
        assert sum(getattr(view, status) for view in types) == in_metrics[status]
    queue = await rig.queue.view()
    assert (queue.pending, queue.processing) == (now.jobs_pending, now.jobs_in_progress)
    assert (queue.paused, len(queue.paused_types)) == (now.queue_paused, now.job_types_paused)
    on_their_way = now.jobs_ready - queue.ready
    assert 0 <= on_their_way <= now.workers_running
    assert queue.ready + queue.later + queue.blocked + on_their_way == now.jobs_pending
    assert (queue.oldest_ready_seconds is None) == (queue.ready == 0)
    busy = [worker for worker in rig.engine.workers() if worker.state == "busy"]
    assert len(busy) == now.jobs_in_progress
    assert all(view.processing <= (view.concurrency or 10) for view in types)


async def act(rig: Rig, chance: random.Random, names: list[str], ids: list[str]) -> None:
    """One thing that a client does; `ids` has those of all jobs."""
    match chance.choice(["submit", "after", "later", "cancel", "cancel all", "pause", "resume"]):
        case "submit":
            ids.append((await rig.queue.submit(chance.choice(names))).id)
        case "later":
            delay, priority = chance.choice([0.01, 5]), chance.randrange(10)
            job_type = chance.choice(names)
            job = await rig.queue.submit(job_type, delay_seconds=delay, priority=priority)
            ids.append(job.id)
        case "after" if ids:
            after = chance.choices(ids[-10:], k=3)
            ids.append((await rig.queue.submit(chance.choice(names), after=after)).id)
        case "cancel" if ids:
            with suppress(AlreadyFinished):
                await rig.queue.cancel(chance.choice(ids[-10:]))
        case "cancel all" if chance.random() < 0.1:
            await rig.queue.cancel_all(chance.choice(names))
        case "pause":
            await rig.queue.pause(chance.choice([None, *names]))
        case _:
            await resume_all(rig, names)


async def resume_all(rig: Rig, names: list[str]) -> None:
    """End all pauses."""
    for name in (None, *names):
        await rig.queue.resume(name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_all_that_is_told_agrees_through_a_mixed_workload(
    seed: int, registry: Registry, names: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    """Whatever clients do and jobs come to, and whenever one looks, the numbers add up."""
    chance = random.Random(seed)
    options = {"workers": 4, "queue_capacity": 10_000, "retain": 10_000}
    async with running(registry, grace=10_000, **options) as rig:
        ids: list[str] = []
        for _ in range(300):
            await act(rig, chance, names, ids)
            at_once(check_all_agree(rig))
            if chance.random() < 0.7:
                await trio.sleep(chance.choice([0.5, 1, 3]))
                at_once(check_all_agree(rig))
        await resume_all(rig, names)
        ended = {status for view in await rig.queue.types() for status in kinds(view)}
    at_once(check_all_agree(rig))
    assert ended >= {"completed", "failed", "cancelled"}
    assert rig.snapshot().jobs_abandoned == 0


def kinds(view: object) -> set[str]:
    """In which states jobs of the type are."""
    return {status for status in STATUSES if getattr(view, status)}


async def test_types_count_what_is_kept(
    registry: Registry, names: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    """Jobs that have been forgotten are in the metrics for ever, and in the types no more."""
    async with running(registry, retain=3) as rig:
        await rig.queue.submit_all([rig.queue.check("works") for _ in range(5)])
        await trio.sleep(10)
        await rig.queue.submit("works", delay_seconds=5)
        (works,) = [view for view in await rig.queue.types() if view.type == "works"]
        assert (works.completed, works.pending, rig.snapshot().jobs_completed) == (3, 1, 5)


async def test_a_type_of_which_there_are_no_jobs_is_told_as_well(
    registry: Registry, names: list[str]
) -> None:
    """All types are there from the start, sorted, with their terms."""
    async with running(registry) as rig:
        views = await rig.queue.types()
        assert [view.type for view in views] == sorted(names)
        assert all(kinds(view) == set() for view in views)
        terms = {view.type: (view.max_retries, view.timeout_seconds) for view in views}
        assert (terms["too_slow"], terms["works"]) == ((1, 2), (3, None))
