"""A job type may say how many of its jobs run at a time; the others wait, and hold up nobody."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.outcome import Discard, Snooze
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.conftest import Rig
from tests.jobs.step_count import steps_of_a_job
from tests.jobs.steps import MakeRig, at_once, run_one, running

Autojump = trio.testing.MockClock

LIMIT = 2


class Meter:
    """Counts how many jobs run, and remembers the most that ever did."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.begun: list[float] = []
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """One more runs within the block."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1


@pytest.fixture
def meter(registry: Registry) -> Meter:
    """Measures `scrape`, two of which run at a time, for 10 seconds each; `other` has no limit."""
    meter = Meter()
    retry = Retry(max_retries=1, base_seconds=0, jitter=0)

    @registry.job("scrape", concurrency=LIMIT, retry=retry, timeout=10)
    async def scrape(way: str, job: JobContext) -> None:
        with meter.running():
            meter.begun.append(trio.current_time())
            await trio.sleep(20 if way == "times out" else 5)
            match way:
                case "fails":
                    raise RuntimeError("no")
                case "gives up":
                    raise Discard("no such page")
                case "snoozes" if len(meter.begun) <= 10:
                    raise Snooze(0)
                case "exits":
                    raise SystemExit(3)
                case _:
                    pass

    @registry.job("other")
    async def other() -> None:
        await trio.sleep(5)

    return meter


def check_no_place_is_taken(rig: Rig) -> None:
    """With nothing running, every limited type may run as many as ever."""
    assert all(not queue.running for queue in rig.engine._dispatcher._backlog._own.values())


WAYS = ["completes", "fails", "gives up", "snoozes", "times out", "exits"]


@pytest.mark.parametrize("way", WAYS)
async def test_never_more_than_the_limit_run_at_once(
    way: str, registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """However they end, and whether they come back, there are two of them, with workers to spare.

    And always two: as soon as one has ended, for whatever reason, the next one begins.
    """
    attempts = 20 if way in ("fails", "times out", "snoozes", "exits") else 10
    async with running(registry, workers=6, grace=1_000) as rig:
        for _ in range(10):
            await rig.queue.submit("scrape", way)
        for _ in range(200):
            assert rig.snapshot().jobs_in_progress <= LIMIT
            await trio.sleep(1)
    assert (meter.most, len(meter.begun)) == (LIMIT, attempts)
    seconds = 10 if way == "times out" else 5
    rounds = Counter(meter.begun)
    assert rounds == {n * seconds: LIMIT for n in range(attempts // LIMIT)}
    check_no_place_is_taken(rig)


@pytest.mark.parametrize("way", ["completes", "times out"])
async def test_one_that_is_called_off_makes_room_for_the_next(
    way: str, registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """When a client cancels a running one, one that was held back begins at once."""
    async with running(registry, workers=6) as rig:
        jobs = [await rig.queue.submit("scrape", way) for _ in range(4)]
        await trio.sleep(2)
        assert await why(rig, jobs[2].id) == "held back: scrape runs 2 of at most 2"
        await rig.queue.cancel(jobs[0].id)
        await trio.testing.wait_all_tasks_blocked()
        assert meter.begun == [0, 0, 2]
        assert await why(rig, jobs[2].id) is None
        await rig.queue.cancel(jobs[3].id)  # which has not begun
        await trio.testing.wait_all_tasks_blocked()
        assert meter.now == LIMIT
    assert meter.most == LIMIT
    check_no_place_is_taken(rig)


async def why(rig: Rig, job_id: str) -> str | None:
    """Why this job is not running now."""
    return (await rig.queue.get(job_id)).waits_because


async def test_one_that_is_called_off_on_its_way_to_a_worker_makes_room(
    registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """It counts from when it was handed over, and must not count for ever."""
    async with running(registry, workers=6) as rig:
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10):
            draft = rig.queue.check("scrape", "completes")
            handed_over = await rig.queue.submit_all([draft] * 3)
            for job, reason in zip(
                handed_over, ("about to start", "about to start", "held back"), strict=True
            ):
                assert (at_once(why(rig, job.id)) or "").startswith(reason)
            for job in handed_over:
                at_once(rig.queue.cancel(job.id))
            await trio.testing.wait_all_tasks_blocked()
        assert meter.begun == []
        check_no_place_is_taken(rig)
        for _ in range(3):
            await rig.queue.submit("scrape", "completes")
    assert meter.begun == [0, 0, 5]


async def test_it_holds_up_no_other_type(
    registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """Behind a hundred that are held back, jobs of other types find the workers free."""
    async with running(registry, workers=4, queue_capacity=200, grace=1_000) as rig:
        for _ in range(100):
            await rig.queue.submit("scrape", "completes", priority=0)
        behind = [await run_one(rig, "other", priority=9) for _ in range(3)]
        statuses = [(await rig.queue.get(job.id)).status for job in behind]
        assert statuses == ["processing", "processing", "pending"]
        assert await why(rig, behind[2].id) == "waits for a free worker"
        await trio.sleep(11)
        assert (await rig.queue.get(behind[2].id)).status == "completed"
    assert meter.most == LIMIT


async def test_each_type_has_a_limit_of_its_own(
    registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """A type that has used up its own takes nothing from another's."""
    alone = Meter()

    @registry.job("alone", concurrency=1)
    async def run_alone() -> None:
        with alone.running():
            await trio.sleep(5)

    async with running(registry, workers=6) as rig:
        for _ in range(5):
            await rig.queue.submit("scrape", "completes")
            await rig.queue.submit("alone")
        await trio.testing.wait_all_tasks_blocked()
        assert (meter.now, alone.now) == (2, 1)
        held = (await rig.queue.list(status="pending", job_type="alone"))[0]
        assert await why(rig, held.id) == "held back: alone runs 1 of at most 1"
    assert (meter.most, alone.most) == (2, 1)
    check_no_place_is_taken(rig)


async def test_the_workers_are_a_limit_as_well(
    registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """Where there are fewer workers than may run, the job waits for a worker and says so."""
    async with running(registry, workers=1) as rig:
        await rig.queue.submit("scrape", "completes")
        await trio.testing.wait_all_tasks_blocked()
        job = await rig.queue.submit("scrape", "completes")
        assert await why(rig, job.id) == "waits for a free worker"
    assert meter.begun == [0, 5]


async def test_those_held_back_start_by_priority_and_then_by_age(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """A type with a limit takes its turn among the others as if there were one queue."""
    begun: list[str] = []

    @registry.job("one", concurrency=1)
    async def one(name: str) -> None:
        begun.append(name)
        await trio.sleep(1)

    @registry.job("any")
    async def any_number(name: str) -> None:
        begun.append(name)
        await trio.sleep(1)

    async with running(registry, workers=1) as rig:
        await run_one(rig, "any", "first")
        for job_type, name, priority in (
            ("any", "any late", 6),
            ("one", "one late", 6),
            ("any", "any", 5),
            ("one", "one", 5),
            ("one", "one more", 5),
            ("any", "any more", 5),
            ("one", "one urgent", 0),
        ):
            await rig.queue.submit(job_type, name, priority=priority)
            await trio.sleep(0.01)
    order = ["first", "one urgent", "any", "one", "one more", "any more", "any late", "one late"]
    assert begun == order


async def test_a_function_in_a_thread_is_held_to_it(registry: Registry) -> None:
    """What runs in a thread counts just as well."""
    meter = Meter()
    both_run = threading.Barrier(LIMIT, timeout=30)

    @registry.job("threaded", concurrency=LIMIT)
    def threaded() -> None:
        with meter.running():
            both_run.wait()

    async with running(registry, workers=6) as rig:
        for _ in range(10):
            await rig.queue.submit("threaded")
    assert (meter.most, rig.snapshot().jobs_completed) == (LIMIT, 10)
    check_no_place_is_taken(rig)


async def test_a_drain_finishes_those_that_are_held_back(
    registry: Registry, meter: Meter, autojump_clock: Autojump
) -> None:
    """They will have their turn, so the end waits for them."""
    async with running(registry, workers=6, grace=1_000) as rig:
        for _ in range(6):
            await rig.queue.submit("scrape", "completes")
    assert (trio.current_time(), rig.engine.outcome) == (15, "drained")
    assert rig.snapshot().jobs_completed == 6


async def test_types_tell_their_limits(
    registry: Registry, meter: Meter, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """And how many of them run."""
    rig = make_rig(workers=6)
    await rig.start()
    for _ in range(5):
        await rig.queue.submit("scrape", "completes")
    await trio.testing.wait_all_tasks_blocked()
    other, scrape = await rig.queue.types()
    assert (scrape.concurrency, scrape.processing, scrape.pending) == (2, 2, 3)
    assert (other.concurrency, other.processing, other.pending) == (None, 0, 0)
    rig.engine.stop("second_signal")


async def test_limits_of_other_types_cost_a_job_nothing(registry: Registry) -> None:
    """Whatever has been limited, or paused for a while: it takes the same steps as without."""

    @registry.job("plain")
    async def plain() -> None: ...

    @registry.job("held")
    async def held() -> None: ...

    for number in range(30):

        @registry.job(f"limited-{number}", concurrency=1)
        async def limited() -> None: ...

    async with running(registry) as rig:
        await steps_of_a_job(rig, "plain")  # the first one of a type opens its queue
        alone = await steps_of_a_job(rig, "plain")
        for number in range(30):
            await run_one(rig, f"limited-{number}")
        await rig.queue.pause("held")
        await rig.queue.resume("held")
        await run_one(rig, "held")
        assert await steps_of_a_job(rig, "plain") == alone
