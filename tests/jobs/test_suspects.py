"""Suspects beside others: which of them start, and which hold the others up."""

from datetime import UTC, datetime

import pytest
import trio
import trio.testing

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import Attempt, Job
from job_service.stores.memory import MemoryStore

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Bench:
    """A backlog with these jobs, of which so many run."""

    def __init__(self, *jobs: Job, running: int = 0) -> None:
        self.running = running
        limits = {"email": NO_LIMITS, "limited": Limits(1)}
        self.backlog = Backlog(limits.__getitem__, lambda: 0.0, lambda: self.running == 0)
        for job in jobs:
            self.backlog.add(job)

    def take(self) -> str | None:
        """The id of the job that starts next, if one does."""
        job = self.backlog.take()
        self.running += job is not None
        return None if job is None else job.id

    def end(self, job: Job) -> bool:
        """An attempt ends; whether others are to be looked for."""
        self.running -= 1
        job.attempts = job.attempts[:0]
        return self.backlog.release(job)


def lost(job_id: str, times: int, job_type: str = "email") -> Job:
    """A job whose last attempts were lost."""
    job = Job(job_id, job_type, b"null", 3, START, START, ready_monotonic=0.0, losses=times)
    each = [
        Attempt(number, "worker-1", START, 0.0, lambda: None, outcome="lost")
        for number in range(1, times + 1)
    ]
    job.attempts = tuple(each)
    return job


def test_one_that_was_lost_once_runs_beside_others() -> None:
    """But not beside another suspect."""
    bench = Bench(lost("plain", 0), lost("first", 1), lost("second", 1))
    assert [bench.take() for _ in range(3)] == ["first", "plain", None]


def test_one_that_was_lost_twice_waits_for_all_others_to_end() -> None:
    """And nothing starts before it, or beside it."""
    runs, loner = lost("runs", 0), lost("loner", 2)
    bench = Bench(runs, lost("once", 1))
    assert [bench.take() for _ in range(2)] == ["once", "runs"]
    bench = Bench(lost("plain", 0), loner, lost("once", 1), running=1)
    assert bench.take() is None
    assert bench.end(runs)  # so that the dispatcher looks again
    assert [bench.take() for _ in range(2)] == ["loner", None]
    assert bench.end(loner)
    assert [bench.take() for _ in range(3)] == ["once", "plain", None]


def test_one_that_may_not_start_holds_nobody_up() -> None:
    """It is paused, or another of its type has to end first."""
    bench = Bench(lost("plain", 0), lost("loner", 2, "limited"), running=1)
    assert bench.take() is None
    bench.backlog.pause("limited")
    assert [bench.take() for _ in range(2)] == ["plain", None]
    limited = lost("runs", 0, "limited")
    bench = Bench(limited)
    assert bench.take() == "runs"
    for job in (lost("plain", 0), lost("loner", 2, "limited")):
        bench.backlog.add(job)
    assert bench.take() == "plain"


def test_one_that_is_called_off_holds_nobody_up_any_more() -> None:
    """Whether it waits or is on its way to a worker."""
    plain, loner = lost("plain", 0), lost("loner", 2)
    bench = Bench(plain, loner, running=1)
    assert bench.take() is None
    bench.backlog.discard(loner)
    assert bench.take() == "plain"
    bench = Bench(plain, loner)
    assert [bench.take() for _ in range(2)] == ["loner", None]
    bench.backlog.discard(loner)
    assert bench.end(loner)
    assert bench.take() == "plain"


async def test_what_is_on_its_way_to_a_worker_is_beside_it_too(registry: Registry) -> None:
    """A job that was handed over is about to run."""

    @registry.job("email")
    async def email() -> None:
        pass

    store = MemoryStore(lambda _: None, capacity=10, retain=10)
    dispatcher = Dispatcher(registry, store, lambda: 0)
    plain, loner = lost("plain", 0), lost("loner", 2)
    send, workers = trio.open_memory_channel[Job](2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run, send)
        await trio.testing.wait_all_tasks_blocked()
        for job in (plain, loner):
            job.ready_monotonic = None
            store._live.restore(job)
            dispatcher.recover(job)
            dispatcher.worker_is_free()
        assert workers.receive_nowait() is plain
        with pytest.raises(trio.WouldBlock):
            workers.receive_nowait()
        assert dispatcher.demand().workers == 0
        dispatcher.lose(plain)
        assert workers.receive_nowait() is loner
        nursery.cancel_scope.cancel()
