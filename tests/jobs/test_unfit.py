"""Jobs that this program can't run: they wait for one that can, and stand in nobody's way."""

import pytest
import trio
import trio.testing

from job_service import Draft, Registry
from job_service.errors import QueueFull
from job_service.jobs.running.engine import Engine
from job_service.stores.memory import MemoryStore
from job_service.telemetry.events import JobAbandoned, JobStarted
from tests.conftest import Record, Rig
from tests.jobs.steps import MakeRig, run_one
from tests.jobs.virtual_time import VIRTUAL, moment

Autojump = trio.testing.MockClock

EMAIL = Draft("email", b'{"to": "ada"}', max_retries=3)


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("minute")
    async def minute() -> None:
        await trio.sleep(60)


async def submit(rig: Rig, draft: Draft) -> str:
    """Submit a draft that no registry has checked; the id of its job."""
    (job,) = await rig.queue.submit_all([draft])
    await trio.testing.wait_all_tasks_blocked()
    return job.id


async def test_a_job_without_a_handler_waits_and_says_so(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It crashes no worker, and does not fail: an older program may have submitted it."""
    rig = make_rig()
    await rig.start()
    job_id = await submit(rig, EMAIL)
    job = await rig.queue.get(job_id)
    assert (job.status, job.waits_because) == ("pending", "no handler is registered for email")
    view = await rig.queue.view()
    assert (view.pending, view.ready, view.unfit) == (1, 0, 1)
    assert (view.oldest_ready_seconds, rig.snapshot().jobs_ready) == (None, 0)
    assert (await run_one(rig, "minute")).status == "processing"
    rig.snapshot()
    rig.engine.stop("enough")


async def test_it_can_be_called_off(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """And what was to come after it fails, as with any other job."""
    rig = make_rig()
    await rig.start()
    job_id = await submit(rig, EMAIL)
    successor = await rig.queue.submit("minute", after=[job_id])
    await rig.queue.cancel(job_id)
    assert (await rig.queue.get(successor.id)).status == "failed"
    view = await rig.queue.view()
    assert (view.pending, view.ready, view.unfit) == (0, 0, 0)
    rig.engine.drain(10)


@pytest.mark.parametrize("delay_seconds", [None, 5.0])
async def test_a_drain_does_not_wait_for_it(
    delay_seconds: float | None, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It is left behind as one that is paused, whether its time has come or not."""
    rig = make_rig()
    await rig.start()
    await submit(rig, Draft("email", b"{}", 3, delay_seconds=delay_seconds))
    start = trio.current_time()
    rig.engine.drain(1_000)
    await trio.testing.wait_all_tasks_blocked()
    assert [event.reason for event in rig.record.of(JobAbandoned)] == ["misfit"]
    assert trio.current_time() == start
    rig.snapshot()


async def test_it_stands_in_nobodys_way(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """Of higher priority and older, it lets all others start, and none says it is behind it."""
    rig = make_rig(workers=1)
    await rig.start()
    await submit(rig, Draft("email", b"{}", 3, priority=0))
    await run_one(rig, "minute")
    behind = await run_one(rig, "minute", priority=9)
    assert behind.waits_because == "waits for a free worker"
    await trio.sleep(130)
    assert (await rig.queue.get(behind.id)).status == "completed"
    rig.engine.stop("enough")


async def test_it_takes_a_place_in_the_queue(make_rig: MakeRig) -> None:
    """The bound on what waits holds for it, too."""
    rig = make_rig(queue_capacity=1)
    await rig.queue.submit_all([EMAIL])
    with pytest.raises(QueueFull):
        await rig.queue.submit("minute")


async def test_one_that_is_submitted_after_its_type_was_registered_runs(
    make_rig: MakeRig, registry: Registry, autojump_clock: Autojump
) -> None:
    """Those from before wait on; later jobs of the type are no longer held back."""
    rig = make_rig()
    await rig.start()
    early = await submit(rig, EMAIL)

    @registry.job("email")
    async def email(message: dict[str, str]) -> str:
        return message["to"]

    late = await submit(rig, EMAIL)
    assert (await rig.queue.get(late)).status == "completed"
    said = (await rig.queue.get(early)).waits_because
    assert said == "email was registered too late for it"
    rig.engine.stop("enough")


class KeptStore(MemoryStore):
    """A store with the jobs of an older program."""

    async def recover(self) -> None:
        """Bring them to the runner, as a store in a file does."""
        for job in self._live.unfinished():
            self._runner.recover(job)


def kept() -> tuple[KeptStore, Record]:
    """A store that outlives the engine that its jobs were made for, and what it tells."""
    record = Record()
    return KeptStore(record.observe, VIRTUAL, capacity=10, retain=10), record


async def attach(store: MemoryStore, registry: Registry, nursery: trio.Nursery) -> Engine:
    """An engine that comes to the jobs of this store."""
    rig = Rig(nursery, registry)
    engine = Engine(registry, store, rig.record.observe, rig.engine._log, workers=1)
    await nursery.start(engine.run)
    await trio.testing.wait_all_tasks_blocked()
    return engine


async def test_jobs_that_were_kept_before_are_taken_up(
    registry: Registry, nursery: trio.Nursery, autojump_clock: Autojump
) -> None:
    """In their order, each when its time has come and what it comes after has completed."""
    store, record = kept()
    first, later = await store.submit(
        [Draft("minute", b"null", 3), Draft("minute", b"null", 3, delay_seconds=90)]
    )
    (successor,) = await store.submit([Draft("minute", b"null", 3, after=(first.id,))])
    assert (await store.get(first.id)).waits_because == "the service has not started yet"
    engine = await attach(store, registry, nursery)
    assert (await store.get(first.id)).status == "processing"
    assert (await store.get(successor.id)).waits_because == f"waits for job {first.id}"
    await trio.sleep(200)
    started = [getattr(e, "job_id", None) for e in record.events if e.event == "job_started"]
    assert started == [first.id, successor.id, later.id]
    engine.drain(10)


async def test_what_was_kept_becomes_ready_when_it_is_taken_up(
    registry: Registry, nursery: trio.Nursery, autojump_clock: Autojump
) -> None:
    """Not at the moment at which it was submitted, when nobody was there to run it."""
    store, record = kept()
    await store.submit([Draft("minute", b"null", 3)])
    await trio.sleep(100)
    engine = await attach(store, registry, nursery)
    assert [(event.timestamp, event.wait_seconds) for event in record.of(JobStarted)] == [
        (moment(100), 0)
    ]
    engine.stop("enough")


async def test_one_whose_payload_does_not_fit_any_more_waits_and_says_so(
    registry: Registry, nursery: trio.Nursery, autojump_clock: Autojump
) -> None:
    """Another deploy may understand it; those that fit are run."""

    @registry.job("email")
    async def email(message: dict[str, int]) -> None: ...

    store, _ = kept()
    old, new, late = await store.submit(
        [EMAIL, Draft("email", b'{"to": 7}', 3), Draft("email", b"[]", 3, delay_seconds=5)]
    )
    engine = await attach(store, registry, nursery)
    await trio.sleep(10)
    said = (await store.get(old.id)).waits_because or ""
    assert said.startswith("its payload does not fit email any more: Expected `int`")
    assert (await store.get(new.id)).status == "completed"
    assert (await store.get(late.id)).status == "pending"
    assert (await store.cancel(old.id, "requested")).status == "cancelled"
    engine.drain(1_000)
    await trio.testing.wait_all_tasks_blocked()
    assert (await store.get(late.id)).status == "abandoned"
    assert not engine._dispatcher._backlog.misfits


async def test_one_that_does_not_fit_may_be_changed_while_it_waits(
    registry: Registry, nursery: trio.Nursery, autojump_clock: Autojump
) -> None:
    """It runs if it fits then, and if it goes instead, nobody counts it any more."""

    @registry.job("email")
    async def email(message: dict[str, int]) -> None: ...

    store, _ = kept()
    mended, gone = await store.submit([EMAIL, EMAIL])
    engine = await attach(store, registry, nursery)
    for job in (mended, gone):
        await engine.queue.edit(job.id, priority=3)
    assert (await engine.queue.view()).unfit == 2
    await engine.queue.cancel(gone.id)
    await engine.queue.edit(mended.id, payload={"to": 7})
    await trio.sleep(1)
    assert (await engine.queue.get(mended.id)).status == "completed"
    assert (await engine.queue.view()).unfit == 0
    engine.drain(10)


async def test_a_pause_of_its_type_does_not_make_it_fit(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """After the pause it still waits for a program that can run it."""
    rig = make_rig()
    await rig.start()
    await rig.store.pause("email")
    job_id = await submit(rig, EMAIL)
    assert (await rig.queue.view()).paused_types == ["email"]
    assert (await rig.store.resume("email")).paused_types == []
    await trio.sleep(1)
    said = (await rig.queue.get(job_id)).waits_because
    assert said == "no handler is registered for email"
    rig.engine.drain(10)


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_a_type_that_was_paused_before_it_was_registered_has_its_own_limit(
    concurrency: int | None, make_rig: MakeRig, registry: Registry, autojump_clock: Autojump
) -> None:
    """And it starts no job before the pause is over."""
    rig = make_rig(workers=5)
    await rig.start()
    await rig.store.pause("email")

    @registry.job("email", concurrency=concurrency)
    async def email() -> None:
        await trio.sleep(60)

    waits = (await run_one(rig, "email")).waits_because
    assert waits == "email is paused"
    await rig.queue.resume("email")
    for _ in range(4):
        await run_one(rig, "email")
    assert (await rig.queue.view()).processing == (concurrency or 5)
    rig.engine.stop("enough")


async def test_a_kept_job_that_is_run_again_waits_if_its_payload_does_not_fit_any_more(
    registry: Registry, nursery: trio.Nursery, autojump_clock: Autojump
) -> None:
    """It neither uses up its retries nor fails."""

    @registry.job("email")
    async def email(message: dict[str, int]) -> None: ...

    store, record = kept()
    (old,) = await store.submit([EMAIL])
    await store.cancel(old.id, "requested")
    engine = await attach(store, registry, nursery)
    again = await engine.queue.retry(old.id)
    await trio.sleep(3_600)
    job = await store.get(again.id)
    assert (job.status, job.attempts) == ("pending", [])
    assert (job.waits_because or "").startswith("its payload does not fit email any more")
    engine.drain(1_000)
    await trio.testing.wait_all_tasks_blocked()
    assert [event.reason for event in record.of(JobAbandoned)] == ["misfit"]
