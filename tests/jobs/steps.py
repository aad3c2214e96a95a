"""Steps that many tests of jobs take: run an engine to its end, and read what became of a job."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
import outcome
import trio
import trio.testing

from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail
from job_service.telemetry.events import JobAbandoned, JobEvent
from job_service.testing.virtual_time import clock_from
from tests.conftest import Rig

MakeRig = Callable[..., Rig]
Answer = TypeVar("Answer")

START = datetime(2026, 1, 31, tzinfo=UTC)

ENDINGS = frozenset({"job_completed", "job_failed", "job_cancelled", "job_abandoned"})


def virtual_clock() -> Clock:
    """All clocks of an engine on the test's virtual time, which begins at `START`."""
    return clock_from(START)


@asynccontextmanager
async def running(registry: Registry, *, grace: float = 60, **options: Any) -> AsyncIterator[Rig]:
    """A running engine on `registry`, which is drained, to its last job, when the block is left."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, **options)
        await rig.start()
        yield rig
        rig.engine.drain(grace)
    check_the_end(rig)


async def live(
    registry: Registry, *job_types: str, grace: float | None = None, stop: str | None = None
) -> Rig:
    """Run jobs of these types on one worker, then drain or stop; returns when it has ended."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        for job_type in job_types:
            await rig.queue.submit(job_type)
        await trio.testing.wait_all_tasks_blocked()
        if grace is not None:
            rig.engine.drain(grace)
        if stop is not None:
            rig.engine.stop(stop)
    check_the_end(rig)
    return rig


async def crash(
    registry: Registry, *job_types: str, workers: int, grace: float | None = None
) -> tuple[Rig, BaseExceptionGroup[BaseException]]:
    """Run jobs, one of which ends the engine, perhaps in a drain; the rig, and the crash."""
    try:
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                rig = Rig(nursery, registry, workers=workers)
                for job_type in job_types:
                    await rig.queue.submit(job_type)
                await rig.start()
                await trio.testing.wait_all_tasks_blocked()
                if grace is not None:
                    rig.engine.drain(grace)
    except BaseExceptionGroup as error:
        check_the_end(rig)
        return rig, error
    raise AssertionError("nothing has ended the engine")


async def run_one(rig: Rig, job_type: str, payload: object = None, **options: Any) -> JobDetail:
    """Submit a job and let everything go on until all tasks wait; the job's detail so far."""
    job = await rig.queue.submit(job_type, payload, **options)
    await trio.testing.wait_all_tasks_blocked()
    return await rig.queue.get(job.id)


def at_once(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Run it to its end, though it has checkpoints, without letting others run meanwhile."""
    try:
        coroutine.send(None)
        while True:
            coroutine.send(outcome.Value(None))
    except StopIteration as end:
        return cast("Answer", end.value)


def result_of(detail: JobDetail) -> Any:
    """The result of a job, decoded."""
    assert detail.result is not None
    return msgspec.json.decode(detail.result)


def endings(rig: Rig, job_id: str) -> list[str]:
    """The events that ended a job; there should be one at most."""
    return [name for name in rig.record.names(job_id) if name in ENDINGS]


def check_the_end(rig: Rig) -> None:
    """Nothing is pending or in progress, and each job was created once and ended once."""
    now = rig.snapshot()
    assert (now.jobs_pending, now.jobs_in_progress, now.workers_running) == (0, 0, 0)
    job_events = [event for event in rig.record.events if isinstance(event, JobEvent)]
    created = [event.job_id for event in job_events if event.event == "job_created"]
    ended = [event.job_id for event in job_events if event.event in ENDINGS]
    assert len(set(created)) == len(created) == now.jobs_created
    assert sorted(ended) == sorted(created)


def abandoned(rig: Rig) -> list[tuple[str, str, bool]]:
    """Type and reason of each abandoned job, and whether it was running."""
    return [
        (event.job_type, event.reason, isinstance(event.worker_id, str))
        for event in rig.record.of(JobAbandoned)
    ]


async def many_tasks() -> None:
    """A handler with tasks of its own, one of which raises when it is cancelled."""

    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in a task of the handler's own")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(fails_when_cancelled)


async def chain(rig: Rig, first: str, length: int) -> list[str]:
    """The ids of a job and of so many that come after it, each after the one before."""
    ids = [first]
    for n in range(length):
        ids.append((await rig.queue.submit("quick", n, after=ids[-1:])).id)
    return ids


def check_no_job_awaits_another(rig: Rig) -> None:
    """No job awaits another, and none is kept for those that did."""
    view = at_once(rig.queue.view())
    assert (view.pending, view.ready, view.later, view.blocked) == (0, 0, 0, 0)
    for job in rig.store._jobs:
        assert not job.awaits
        assert not job.successors


def why_unstarted(predecessor: str, status: str) -> str:
    """Why a job failed without having run."""
    became = {"failed": "has failed", "cancelled": "was cancelled"}[status]
    return f"job {predecessor}, which it was to follow, {became}"
