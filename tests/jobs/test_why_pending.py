"""Why a job is not running now, as its detail says in one sentence."""

import time

import pytest
import trio
import trio.testing

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.queueing.why_pending import why_it_waits
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.model import Attempt, AttemptOutcome, Job
from tests.conftest import Rig
from tests.jobs.steps import START, MakeRig, at_once


@pytest.fixture
def rig(registry: Registry, make_rig: MakeRig) -> Rig:
    """An engine of one worker with a few job types, not running yet."""

    @registry.job("minute")
    async def minute() -> None:
        await trio.sleep(60)

    @registry.job("scrape", concurrency=1)
    async def scrape() -> None:
        await trio.sleep(60)

    @registry.job("late", retry=Retry(max_retries=3, base_seconds=14, jitter=0))
    async def late() -> None:
        raise TimeoutError("nobody answers")

    return make_rig(workers=1)


async def why(rig: Rig, job_id: str) -> str | None:
    """What the detail says of this job."""
    return (await rig.queue.get(job_id)).waits_because


async def test_it_waits_for_a_worker_behind_others(
    rig: Rig, autojump_clock: trio.testing.MockClock
) -> None:
    """The place in the queue is told, by priority; a job that runs waits for nothing."""
    await rig.start()
    running = await rig.queue.submit("minute")
    await trio.testing.wait_all_tasks_blocked()
    first, second = [(await rig.queue.submit("minute")).id for _ in range(2)]
    urgent = (await rig.queue.submit("minute", priority=0)).id
    assert await why(rig, running.id) is None
    assert await why(rig, urgent) == "waits for a free worker"
    assert await why(rig, first) == "waits for a free worker; 1 ahead of it"
    assert await why(rig, second) == "waits for a free worker; 2 ahead of it"
    rig.engine.stop("second_signal")


async def test_others_come_first_whatever_queue_they_are_in(
    rig: Rig, autojump_clock: trio.testing.MockClock
) -> None:
    """Those of types with a limit and those without are counted together, but for what is held."""
    await rig.start()
    await rig.queue.submit("minute")
    await trio.testing.wait_all_tasks_blocked()
    names = ("minute", "scrape", "minute", "scrape")
    one, two, three, four = [(await rig.queue.submit(name)).id for name in names]
    assert await why(rig, one) == "waits for a free worker"
    assert await why(rig, two) == "waits for a free worker; 1 ahead of it"
    assert await why(rig, three) == "waits for a free worker; 2 ahead of it"
    assert await why(rig, four) == "waits for a free worker; 3 ahead of it"
    await rig.queue.pause("scrape")
    assert await why(rig, three) == "waits for a free worker; 1 ahead of it"
    rig.engine.stop("second_signal")


async def test_it_is_not_counted_how_many_come_before_when_they_are_many(
    registry: Registry, make_rig: MakeRig
) -> None:
    """The place in the queue is told exactly up to the thousandth; behind it they just are many."""
    registry.job("noop")(lambda: None)
    rig = make_rig(queue_capacity=2_000)
    others = [await rig.queue.submit("noop") for _ in range(1_100)]
    assert await why(rig, others[999].id) == "waits for a free worker; 999 ahead of it"
    assert await why(rig, others[1_000].id) == "waits for a free worker; 1,000 or more ahead of it"
    assert await why(rig, others[-1].id) == "waits for a free worker; 1,000 or more ahead of it"
    last = await rig.queue.submit("noop", priority=9)
    assert await why(rig, last.id) == "waits for a free worker; 1,000 or more ahead of it"


async def test_it_waits_for_its_time(rig: Rig, autojump_clock: trio.testing.MockClock) -> None:
    """A later job says how long; a retry says of how many it is, and what went wrong."""
    await rig.start()
    later = (await rig.queue.submit("minute", delay_seconds=90)).id
    retried = (await rig.queue.submit("late")).id
    await trio.testing.wait_all_tasks_blocked()
    assert await why(rig, later) == "due in 90 s"
    assert await why(rig, retried) == "retry 1 of 3 due in 14 s after TimeoutError"
    rig.engine.stop("second_signal")


async def test_what_is_still_ahead_is_not_told_to_be_due(
    rig: Rig, autojump_clock: trio.testing.MockClock
) -> None:
    """A started second counts as one."""
    await rig.start()
    later = (await rig.queue.submit("minute", delay_seconds=0.25)).id
    assert await why(rig, later) == "due in 1 s"
    rig.engine.stop("second_signal")


async def test_it_is_held_back(rig: Rig, autojump_clock: trio.testing.MockClock) -> None:
    """A limit, a pause of its type and one of the queue are each told for what they are."""
    ready = (await rig.queue.submit("minute")).id
    await rig.queue.pause("minute")
    assert await why(rig, ready) == "minute is paused"
    await rig.queue.pause()
    assert await why(rig, ready) == "the queue is paused"
    await rig.queue.resume()
    await rig.start()
    await rig.queue.submit("scrape")
    await trio.testing.wait_all_tasks_blocked()
    held = (await rig.queue.submit("scrape")).id
    assert await why(rig, held) == "held back: scrape runs 1 of at most 1"
    rig.engine.stop("second_signal")


async def test_it_waits_for_other_jobs(rig: Rig, autojump_clock: trio.testing.MockClock) -> None:
    """The first of them is named, and how many more there are."""
    first, second = [(await rig.queue.submit("minute")).id for _ in range(2)]
    one = (await rig.queue.submit("minute", after=[first])).id
    both = (await rig.queue.submit("minute", after=[first, second])).id
    assert await why(rig, one) == f"waits for job {first}"
    assert await why(rig, both) == f"waits for job {first} and 1 other"


async def test_it_is_on_its_way(rig: Rig, autojump_clock: trio.testing.MockClock) -> None:
    """What a worker has asked for and not yet begun is about to start; till then it is ready."""
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    job = (await rig.queue.submit("minute")).id
    assert at_once(why(rig, job)) == "about to start: it is on its way to a worker"
    view = at_once(rig.queue.view())
    assert (view.pending, view.ready, view.processing) == (1, 1, 0)
    assert view.oldest_ready_seconds == 0
    rig.engine.stop("second_signal")


@pytest.mark.parametrize("outcome", ["snoozed", "lost", "interrupted"])
def test_an_attempt_that_was_no_failure_is_not_called_a_retry(outcome: AttemptOutcome) -> None:
    """A job that comes back without having failed says why it does."""
    job = Job("1", "late", b"null", 3, START, START)
    job.attempts = (Attempt(1, "worker-1", START, 0.0, lambda: None, outcome=outcome),)
    assert (
        why_it_waits(job, Backlog(lambda _: None, time.monotonic, lambda: True), 2.5, 0)
        == f"{outcome}; due in 3 s"
    )
