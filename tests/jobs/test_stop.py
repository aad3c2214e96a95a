"""An engine that is stopped, or stops by itself: every job has its end, and says which."""

import threading

import pytest
import trio
import trio.testing

from job_service.errors import QueueClosed
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running import verdict
from job_service.jobs.state.clock import Clock
from job_service.telemetry.events import JobAbandoned, WorkerStopped
from tests.conftest import Rig
from tests.jobs.steps import (
    MakeRig,
    abandoned,
    check_the_end,
    crash,
    endings,
    live,
    many_tasks,
    run_one,
)

Autojump = trio.testing.MockClock


@pytest.mark.parametrize("grace", [None, 1_000])
async def test_a_stop_ends_it_now(
    grace: float | None, registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """With or without a drain before it; the reason is the one that was given."""
    rig = await live(registry, "ten_seconds", "flaky", grace=grace, stop="second_signal")
    assert (ended_at, trio.current_time()) == ([], 0)
    assert abandoned(rig) == [
        ("ten_seconds", "second_signal", True),
        ("flaky", "second_signal", False),
    ]
    assert rig.engine.outcome == "second_signal"


@pytest.mark.parametrize("at_work", [True, False])
async def test_a_stop_is_the_reason_for_whatever_can_not_start_either(
    at_work: bool, registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """Later, paused and blocked jobs might wait for hours; it is the stop that ends them."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        if at_work:
            await rig.queue.submit("ten_seconds")
            await trio.testing.wait_all_tasks_blocked()
        later = await rig.queue.submit("flaky", delay_seconds=100)
        await rig.queue.submit("flaky", after=[later.id])
        await rig.queue.pause("swallows")
        await rig.queue.submit("swallows")
        rig.engine.drain(1_000)
        await trio.sleep(1)
        rig.engine.stop("second_signal")
    check_the_end(rig)
    assert [reason for _, reason, _ in abandoned(rig)] == ["second_signal"] * (3 + at_work)
    assert rig.engine.outcome == "second_signal"
    assert [event.reason for event in rig.record.of(WorkerStopped)] == ["cancelled"]


async def test_a_stop_that_comes_too_late_changes_nothing(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """An engine that has been drained by then has done all it was asked for."""
    rig = await live(registry, "ten_seconds", grace=1_000)
    rig.engine.stop("second_signal")
    assert rig.engine.outcome == "drained"


async def test_what_finishes_all_the_same_is_completed(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """A handler that swallows its cancellation and returns has done its work."""
    rig = await live(registry, "swallows", stop="second_signal")
    assert abandoned(rig) == []
    assert rig.snapshot().jobs_completed == 1


async def test_an_interrupted_attempt_is_no_failure(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """Even where its cleanup fails it is abandoned, and neither failed nor retried."""
    rig = await live(registry, "untidy", stop="second_signal")
    assert abandoned(rig) == [("untidy", "second_signal", True)]
    assert (rig.snapshot().jobs_failed, rig.snapshot().jobs_retried) == (0, 0)


async def test_nothing_is_accepted_after_the_end(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """An engine that has been stopped refuses jobs: it would never run them."""
    rig = await live(registry, "ten_seconds", stop="second_signal")
    assert not rig.engine.accepting
    with pytest.raises(QueueClosed):
        await rig.queue.submit("ten_seconds")
    assert rig.snapshot().jobs_pending == 0


async def test_nothing_is_accepted_while_it_is_being_stopped(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """From the moment of the stop on, not only when the last handler has cleaned up."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        await rig.queue.submit("cleans")
        await trio.testing.wait_all_tasks_blocked()
        rig.engine.stop("second_signal")
        assert not rig.engine.accepting
        with pytest.raises(QueueClosed):
            await rig.queue.submit("ten_seconds")
    check_the_end(rig)


async def test_a_crash_during_a_drain_is_a_crash(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """What ends the engine is what its outcome says, not what was planned."""

    @registry.job("breaks")
    async def breaks() -> None:
        await trio.sleep(1)
        raise KeyboardInterrupt

    rig, _ = await crash(registry, "breaks", workers=1, grace=1_000)
    assert rig.engine.outcome == "crashed"
    assert abandoned(rig) == [("breaks", "crashed", True)]


async def test_errors_of_a_handlers_own_tasks_are_not_the_workers(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """A worker whose handler raises a mixed group when it is stopped was cancelled, not crashed."""

    registry.job("many_tasks")(many_tasks)

    rig = await live(registry, "many_tasks", stop="second_signal")
    assert abandoned(rig) == [("many_tasks", "second_signal", True)]
    assert [event.reason for event in rig.record.of(WorkerStopped)] == ["cancelled"]


@pytest.mark.parametrize("raises", [False, True])
async def test_what_was_left_behind_stays_so(
    raises: bool, registry: Registry, autojump_clock: Autojump
) -> None:
    """A handler that goes on after its job was given up may return or raise: it is too late."""

    @registry.job("goes_on")
    async def goes_on() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(3_600)
        if raises:
            raise OSError("at last")
        return "at last"

    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        job = await rig.queue.submit("goes_on")
        await trio.sleep(1)
        rig.engine.stop("second_signal")
        await trio.sleep(10)
        rig.engine.abandon_the_rest("second_signal")
        told = await rig.queue.get(job.id)
    check_the_end(rig)

    assert trio.current_time() == 3_600
    assert (told.status, told.attempts[0].run_seconds) == ("abandoned", 11)
    assert await rig.queue.get(job.id) == told


async def test_nothing_is_accepted_after_a_crash(registry: Registry) -> None:
    """Where nobody asked for the end either, no job is taken that would never run."""

    @registry.job("breaks")
    async def breaks() -> None:
        raise KeyboardInterrupt

    rig, _ = await crash(registry, "breaks", workers=1)
    assert not rig.engine.accepting
    with pytest.raises(QueueClosed):
        await rig.queue.submit("breaks")
    check_the_end(rig)


async def test_nothing_waits_in_a_service_that_has_ended(
    ended_at: list[float], registry: Registry, autojump_clock: Autojump
) -> None:
    """Whoever still asks for the queue is told of none of what was left behind."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        first = await rig.queue.submit("ten_seconds")
        await rig.queue.submit("ten_seconds")
        await rig.queue.submit("ten_seconds", delay_seconds=3_600)
        await rig.queue.submit("ten_seconds", after=[first.id])
        await trio.sleep(1)
        view = await rig.queue.view()
        assert (view.pending, view.ready, view.later, view.blocked) == (3, 1, 1, 1)
        rig.engine.stop("second_signal")
    view = await rig.queue.view()
    assert (view.pending, view.ready, view.later, view.blocked) == (0, 0, 0, 0)
    assert view.oldest_ready_seconds is None
    assert rig.snapshot().jobs_abandoned == 4


@pytest.mark.parametrize("way", ["grace", "stop"])
async def test_an_error_in_the_cleanup_is_told(
    way: str, registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """At the end of the grace, or at a stop: by the job's line, and in its detail."""
    if way == "grace":
        rig = await live(registry, "untidy", grace=3)
    else:
        rig = await live(registry, "untidy", stop="second_signal")
    (event,) = rig.record.of(JobAbandoned)
    assert event.error == "OSError: the cleanup failed"
    assert 'raise OSError("the cleanup failed")' in str(event.traceback)
    (attempt,) = (await rig.queue.get(event.job_id)).attempts
    assert (attempt.outcome, attempt.error) == ("abandoned", event.error)
    assert attempt.traceback


async def test_an_end_that_comes_while_a_result_is_written_is_the_only_one(
    registry: Registry, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's end from another thread leaves the job; its worker neither adds nor crashes."""

    @registry.job("report")
    async def report() -> None: ...

    rig = make_rig(clock=Clock())

    def slowly(result: object) -> bytes:
        thread = threading.Thread(target=rig.engine.abandon_the_rest, args=("loop_blocked",))
        thread.start()
        thread.join()
        return b"null"

    monkeypatch.setattr(verdict, "encode_result", slowly)
    await rig.start()
    job = await run_one(rig, "report")
    assert job.status == "abandoned"
    assert endings(rig, job.id) == ["job_abandoned"]
    assert rig.snapshot().jobs_in_progress == 0
    rig.engine.stop("enough")
