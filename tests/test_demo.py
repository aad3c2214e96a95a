"""The demo: within a minute a newcomer sees all that can happen to a job."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

from job_service.demo.shop import registry
from job_service.demo.workload import keep_busy
from job_service.jobs.running.threads import Threads
from job_service.jobs.state.model import Attempt, Job
from job_service.telemetry.events import JobFailed
from tests.conftest import Rig

TO_BE_SEEN = {
    "job_created",
    "job_enqueued",
    "job_started",
    "job_completed",
    "job_retried",
    "job_snoozed",
    "job_failed",
    "job_progressed",
    "job_duplicate",
    "queue_full",
    "queue_freed",
}


async def call_here(
    _: Threads, job: Job, attempt: Attempt, function: Callable[[], object], tell: object
) -> object:
    """It replaces a thread, which virtual time would outrun."""
    await trio.sleep(0.2)
    return function()


@pytest.mark.slow
async def test_a_shop_that_keeps_itself_busy_shows_it_all(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success, retry, failure, slow jobs with progress, a full queue, jobs after others."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(Threads, "call", call_here)
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=10, queue_capacity=100, retain=10_000)
        await rig.start()
        nursery.start_soon(keep_busy, rig.queue)
        await trio.sleep(180)
        rig.engine.stop("seen enough")

    assert set(rig.record.names()) >= TO_BE_SEEN
    assert {view.type for view in await rig.queue.types() if view.completed} >= {
        "add_up",
        "charge_card",
        "fetch_page",
        "index",
        "parcel",
        "report",
        "send_email",
        "thumbnail",
        "tidy_up",
    }
    errors = " ".join(event.error for event in rig.record.of(JobFailed))
    assert "was declined" in errors
    assert "which it was to follow" in errors
    assert rig.snapshot().jobs_rejected > 0
