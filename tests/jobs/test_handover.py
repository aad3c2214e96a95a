"""How jobs come to the workers: in their order, one each, and up to the last moment revocably."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from job_service.jobs.registration.registry import Registry
from job_service.jobs.running import worker as worker_module
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, run_one

Autojump = trio.testing.MockClock


@pytest.fixture
def seen(registry: Registry) -> list[object]:
    """The payloads of the jobs of type `notes`, in the order in which they began."""
    seen: list[object] = []

    @registry.job("notes")
    async def notes(payload: Any) -> None:
        seen.append(payload)
        await trio.sleep(60)

    return seen


@pytest.mark.parametrize("before_the_start", [0, 3, 7])
async def test_jobs_begin_in_the_order_of_their_submission(
    before_the_start: int, seen: list[object], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """First in, first out, also for those that were submitted before the workers had started."""
    rig = make_rig(workers=1)
    for number in range(before_the_start):
        await rig.queue.submit("notes", number)
    await rig.start()
    for number in range(before_the_start, 7):
        await rig.queue.submit("notes", number)
    await trio.sleep(1_000)
    assert seen == list(range(7))


@pytest.mark.parametrize("workers", [1, 2, 5])
async def test_as_many_jobs_run_at_once_as_there_are_workers(
    workers: int, seen: list[object], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """No worker is idle while a job waits, and none runs two."""
    rig = make_rig(workers=workers)
    await rig.start()
    jobs = [await rig.queue.submit("notes") for _ in range(10)]
    busy: list[int] = []
    await trio.sleep(1)
    while rig.snapshot().jobs_in_progress:
        busy.append(rig.snapshot().jobs_in_progress)
        await trio.sleep(60)

    assert busy == [workers] * (10 // workers)
    by = [(await rig.queue.get(job.id)).attempts[0].worker_id for job in jobs]
    assert {by.count(f"worker-{number}") for number in range(1, workers + 1)} == {10 // workers}


class WhileHandedOver(trio.abc.Instrument):
    """Calls `act` once, right after the dispatcher has given away the last ready job."""

    def __init__(self, rig: Rig, act: Callable[[], object]) -> None:
        self._backlog = rig.engine._dispatcher._backlog
        self._act: Callable[[], object] | None = act

    def after_task_step(self, _: trio.lowlevel.Task) -> None:
        """Look whether it has."""
        if self._backlog.ready == 0 and self._act:
            act, self._act = self._act, None
            act()


async def test_a_job_on_its_way_to_a_worker_can_still_be_called_off(
    seen: list[object], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Between the dispatcher and the first step of the worker a job is pending, and won't run."""
    rig = make_rig(workers=1)
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    job = await rig.queue.submit("notes")
    called_off = rig.store._find(job.id)
    instrument = WhileHandedOver(rig, lambda: rig.store._call_off(called_off, "requested", None))
    trio.lowlevel.add_instrument(instrument)
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.remove_instrument(instrument)

    assert seen == []
    assert rig.record.names(job.id) == ["job_created", "job_enqueued", "job_cancelled"]
    await run_one(rig, "notes", "another")
    assert seen == ["another"], "and its worker goes on"


async def test_short_jobs_give_way_to_others(
    registry: Registry, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait, the loop is not theirs alone: each worker pauses now and then."""
    monkeypatch.setattr(worker_module, "TURN_SECONDS", 0)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    seen: list[int] = []

    @registry.job("short")
    async def short() -> None:
        seen.append(turns)

    rig = make_rig(workers=1)
    for _ in range(10):
        await rig.queue.submit("short")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await rig.start()
        while len(seen) < 10:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert len(set(seen)) >= 5, "the order within a turn is anybody's"
    rig.engine.drain(0)


async def test_no_job_begins_after_the_stop(registry: Registry, make_rig: MakeRig) -> None:
    """Not even one that a worker could take without a pause."""
    begun: list[int] = []
    rig = make_rig(workers=1)

    @registry.job("stops")
    async def stops(number: int) -> None:
        begun.append(number)
        rig.engine.stop("second_signal")

    for number in range(3):
        await rig.queue.submit("stops", number)
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    assert begun == [0]
    assert rig.snapshot().jobs_abandoned == 2
