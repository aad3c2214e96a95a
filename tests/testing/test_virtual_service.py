"""A whole registry runs in virtual time: schedules, chains of jobs, pauses and the log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import trio
from trio.testing import MockClock

from job_service import JobContext, Registry, ResourceFailed, Retry
from job_service.testing import VirtualService, virtual_service
from tests.jobs.steps import result_of

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400


@pytest.fixture
def registry() -> Registry:
    """A nightly job, an hourly one, one that fails at first, and one that never ends."""
    registry = Registry()

    @registry.cron("30 2 * * *", tz="Europe/Berlin")
    async def nightly() -> None:
        await trio.sleep(60)

    @registry.job("flaky", retry=Retry(base_seconds=3_600))
    async def flaky(job: JobContext) -> int:
        job.log.info("tried", number=job.attempt)
        if job.attempt == 1:
            raise LookupError("not yet")
        return job.attempt

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    return registry


async def test_schedules_tick_by_the_virtual_date(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """Over the night in March in which 2:30 does not exist, and nobody looks every second."""
    jumps = Jumps()
    trio.lowlevel.add_instrument(jumps)
    start = datetime(2026, 3, 27, 12, tzinfo=UTC)
    async with virtual_service(registry, start=start) as service:
        await trio.sleep(3 * DAY)
        jobs = await service.queue.list()
        assert service.now() == start + timedelta(days=3)
        assert [view.skipped for view in service.schedules()] == [0]
    assert [job.created_at.astimezone(BERLIN).isoformat() for job in jobs] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert jumps.number < 200, "once for each thing that happens, and not for each second"


class Jumps(trio.abc.Instrument):
    """Counts turns of the loop that waited for something."""

    number = 0

    def before_io_wait(self, timeout: float) -> None:
        """Called by Trio."""
        self.number += timeout > 0


async def test_it_is_idle_when_all_jobs_have_ended(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """Those that wait for a retry, a date or each other, too."""
    async with virtual_service(registry) as service:
        first = await service.queue.submit("flaky")
        second = await service.queue.submit("flaky", after=[first.id], delay_seconds=DAY)
        await service.wait_until_idle()
        detail = await service.queue.get(second.id)
        assert (detail.status, result_of(detail)) == ("completed", 2)
        assert trio.current_time() == DAY + 3_600
        assert service.metrics().jobs_retried == 2


async def test_who_is_never_idle_is_told_why(registry: Registry, autojump_clock: MockClock) -> None:
    """With the jobs that are left, and what those wait for that do not run."""
    async with virtual_service(registry) as service:
        running = await service.queue.submit("endless")
        waiting = await service.queue.submit("flaky", after=[running.id])
        with pytest.raises(AssertionError, match=r"not idle within 1:00:00\.") as caught:
            await service.wait_until_idle(within=timedelta(hours=1))
        assert f"endless {running.id}: processing" in str(caught.value)
        assert f"flaky {waiting.id}: pending (waits for job {running.id})" in str(caught.value)


async def test_the_log_is_on_virtual_time(registry: Registry, autojump_clock: MockClock) -> None:
    """Lines of handlers as well as the service's own."""
    async with virtual_service(registry) as service:
        job = await service.run("flaky")
        lines = [line for line in service.log if line.get("job_id") == job.id]
    assert [(line["event"], line["timestamp"]) for line in lines] == [
        ("job_created", "2026-01-01T00:00:00Z"),
        ("job_enqueued", "2026-01-01T00:00:00Z"),
        ("job_started", "2026-01-01T00:00:00Z"),
        ("tried", "2026-01-01T00:00:00Z"),
        ("job_retried", "2026-01-01T00:00:00Z"),
        ("job_enqueued", "2026-01-01T01:00:00Z"),
        ("job_started", "2026-01-01T01:00:00Z"),
        ("tried", "2026-01-01T01:00:00Z"),
        ("job_completed", "2026-01-01T01:00:00Z"),
    ]


async def test_a_failed_assertion_comes_bare(registry: Registry, autojump_clock: MockClock) -> None:
    """It is in no ExceptionGroup, and nothing stands before it in its traceback."""
    with pytest.raises(AssertionError, match="one is not two") as caught:  # noqa: PT012
        async with virtual_service(registry) as service:
            await service.queue.submit("endless")
            raise AssertionError("one is not two")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_several_errors_stay_together(registry: Registry, autojump_clock: MockClock) -> None:
    """What a test's own nursery brings is not thinned out."""
    with pytest.raises(ExceptionGroup) as caught:
        async with virtual_service(registry):
            raise ExceptionGroup("both", [ValueError("one"), LookupError("two")])
    assert caught.group_contains(ValueError, match="one")
    assert caught.group_contains(LookupError, match="two")


async def test_a_cancellation_goes_on_as_one(registry: Registry, autojump_clock: MockClock) -> None:
    """A test may bound the block by a time of its own."""
    with trio.move_on_after(DAY) as scope:
        async with virtual_service(registry) as service:
            await service.queue.submit("endless")
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == DAY


async def test_a_resource_that_does_not_open_ends_the_test(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """With the error that names it, and in no group."""

    @registry.resource
    async def database() -> AsyncIterator[None]:
        raise OSError("no database here")
        yield

    with pytest.raises(ResourceFailed, match="no database here"):
        async with virtual_service(registry):
            pass
    async with virtual_service(registry, resources={"database": None}):
        pass


async def test_what_can_never_happen_is_told(autojump_clock: MockClock) -> None:
    """Else the test would wait for ever: no task waits for a time, and no thread works."""
    registry = Registry()
    registry.job("endless")(trio.sleep_forever)
    with pytest.raises(AssertionError, match="nothing can happen any more") as caught:  # noqa: PT012
        async with virtual_service(registry) as service:
            job = await service.queue.submit("endless")
            await trio.sleep_forever()
    assert f"endless {job.id}: processing" in str(caught.value)


async def test_time_of_the_test_jumps_as_before_when_the_service_has_ended(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """The block leaves Trio's clock as it was."""
    async with virtual_service(registry):
        assert autojump_clock.autojump_threshold > 0
    assert autojump_clock.autojump_threshold == 0


async def test_two_services_run_one_after_the_other(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """Each begins at its own date, whatever time has passed before."""

    async def first_line(service: VirtualService) -> str:
        await service.run("flaky")
        return str(service.log[0]["timestamp"])

    await trio.sleep(5)
    for _ in range(2):
        async with virtual_service(registry) as service:
            assert await first_line(service) == "2026-01-01T00:00:00Z"
