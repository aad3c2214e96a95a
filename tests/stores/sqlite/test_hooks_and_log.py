"""What handlers logged, and hooks for failures, with jobs that survive their process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from job_service import JobContext, JobDetail, Registry, Retry
from job_service.jobs.running.engine import Engine
from job_service.jobs.state.clock import Clock
from job_service.stores.sqlite.store import SqliteStore
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.events import JobReleased
from job_service.telemetry.log import Log
from tests.conftest import Record
from tests.stores.sqlite.conftest import as_after_a_crash

ONCE = Retry(max_retries=0)


@asynccontextmanager
async def serving(
    path: Path, registry: Registry, record: Record | None = None
) -> AsyncIterator[Engine]:
    """One process's life with the file, which ends with a drain."""
    emit = Emitter((record or Record()).observe).emit
    store = SqliteStore(
        path,
        emit,
        Clock(),
        capacity=100,
        capacity_bytes=1_000_000,
        retain=100,
        max_losses=1,
    )
    lines: list[bytes] = []
    async with store.opened(), trio.open_nursery() as nursery:
        engine = Engine(registry, store, emit, Log(lines.append).logger, workers=2)
        await nursery.start(engine.run)
        yield engine
        engine.drain(30)


@pytest.fixture
def told(registry: Registry) -> list[tuple[str, str]]:
    """What the hook of failures heard; `fails` does, having logged why."""
    heard: list[tuple[str, str]] = []

    @registry.on_failure
    async def tell(job: JobDetail, error: BaseException) -> None:
        heard.append((job.id, repr(error)))

    @registry.job("fails", retry=ONCE)
    async def fails(job: JobContext) -> None:
        job.log.warning("no_luck", tries=1)
        raise ValueError("no")

    return heard


async def test_a_failure_is_told_when_it_is_kept(
    path: Path, registry: Registry, told: list[tuple[str, str]]
) -> None:
    """Also that of the last job before the end; what it logged is there in the next process."""
    async with serving(path, registry) as engine:
        job = await engine.queue.submit("fails")
        await engine.queue.wait(job.id, 30)
    assert told == [(job.id, "ValueError('no')")]
    async with serving(path, registry) as engine:
        detail = await engine.queue.get(job.id)
    log = detail.attempts[0].log
    assert log is not None
    assert [(line.level, line.event) for line in log.first] == [("warning", "no_luck")]
    assert len(told) == 1


async def test_a_job_that_was_lost_is_told_at_the_next_start(
    path: Path, registry: Registry, told: list[tuple[str, str]]
) -> None:
    """What nobody could tell when the process died."""
    begins = trio.Event()

    @registry.job("hangs", retry=ONCE)
    async def hangs(job: JobContext) -> None:
        begins.set()
        await trio.sleep_forever()

    async with serving(path, registry) as engine:
        job = await engine.queue.submit("hangs")
        await begins.wait()
        await engine.settle()
        crashed = as_after_a_crash(path)
        engine.stop("requested")
    assert told == []
    async with serving(crashed, registry) as engine:
        assert (await engine.queue.wait(job.id, 30)).status == "failed"
    error = "RuntimeError('the process ended while it had this job in hand')"
    assert told == [(job.id, error)]


async def test_an_error_in_the_cleanup_is_told_of_a_job_that_waits_again(
    path: Path, registry: Registry
) -> None:
    """At a stop, by its line and in its story, although the attempt costs no retry."""
    record, begins = Record(), trio.Event()

    @registry.job("untidy", retry=ONCE)
    async def untidy() -> None:
        try:
            begins.set()
            await trio.sleep_forever()
        finally:
            raise OSError("the cleanup failed")

    async with serving(path, registry, record) as engine:
        job = await engine.queue.submit("untidy")
        await begins.wait()
        engine.stop("second_signal")
    (event,) = record.of(JobReleased)
    assert event.error == "OSError: the cleanup failed"
    assert 'raise OSError("the cleanup failed")' in str(event.traceback)
    async with serving(path, Registry()) as engine:
        (attempt,) = (await engine.queue.get(job.id)).attempts
    assert (attempt.outcome, attempt.error) == ("interrupted", event.error)
