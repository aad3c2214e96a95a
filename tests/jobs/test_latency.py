"""How long each type has waited, and how long it takes until none of it waits."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

from job_service.jobs.queueing import ready as ready_module
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.views import TypeQueue
from tests.conftest import Rig


@pytest.fixture
def registry() -> Registry:
    """A quick type, one that runs one at a time, and one that is retried."""
    registry = Registry()

    @registry.job("mail")
    async def mail() -> None:
        pass

    @registry.job("report", concurrency=1)
    async def report() -> None:
        await trio.sleep(10)

    @registry.job("fails", retry=Retry(max_retries=1, base_seconds=30, jitter=0))
    async def fails() -> None:
        raise ValueError("no")

    return registry


async def of_type(rig: Rig, job_type: str) -> TypeQueue:
    """What the queue tells of this type."""
    (found,) = [each for each in (await rig.queue.view()).types if each.type == job_type]
    return found


async def test_each_type_has_the_age_of_its_oldest_job(
    make_rig: Callable[..., Rig], autojump_clock: trio.testing.MockClock
) -> None:
    """Whatever its priority, and whatever comes before it."""
    rig = make_rig()
    await rig.start()
    await rig.queue.pause()
    await rig.queue.submit("mail", priority=9)
    await trio.sleep(2)
    await rig.queue.submit("report")
    await rig.queue.submit("mail", priority=0)
    await trio.sleep(3)
    assert (await of_type(rig, "mail")).oldest_ready_seconds == 5
    assert (await of_type(rig, "report")).oldest_ready_seconds == 3
    rig.engine.stop("done")


async def test_a_retry_is_as_old_as_its_readiness(
    make_rig: Callable[..., Rig], autojump_clock: trio.testing.MockClock
) -> None:
    """Not as old as its submission."""
    rig = make_rig()
    await rig.start()
    await rig.queue.submit("fails")
    await trio.sleep(5)
    await rig.queue.pause()
    assert (await of_type(rig, "fails")).oldest_ready_seconds is None
    await trio.sleep(40)
    assert (await of_type(rig, "fails")).oldest_ready_seconds == 15
    rig.engine.stop("done")


async def test_what_is_called_off_is_no_longer_ready(make_rig: Callable[..., Rig]) -> None:
    """A type of its own queue, and one of the common one."""
    rig = make_rig()
    await rig.start()
    await rig.queue.pause()
    for job_type in ("mail", "report", "report"):
        await rig.queue.submit(job_type)
    assert [each.ready for each in (await rig.queue.view()).types] == [0, 1, 2]
    await rig.queue.cancel_all("report")
    await rig.queue.cancel_all("mail")
    assert [each.ready for each in (await rig.queue.view()).types] == [0, 0, 0]
    await rig.queue.submit("mail")
    assert (await of_type(rig, "mail")).ready == 1
    rig.engine.stop("done")


async def test_the_time_to_empty_follows_the_last_minute(
    make_rig: Callable[..., Rig], autojump_clock: trio.testing.MockClock
) -> None:
    """One begins each ten seconds, and so many wait. Before any has begun it is not known."""
    rig = make_rig()
    await rig.queue.submit("report")
    assert (await of_type(rig, "report")).seconds_to_empty is None
    await rig.start()
    for _ in range(19):
        await rig.queue.submit("report")
    for _ in range(65):
        await trio.sleep(1)
        rig.history.catch_up()  # as the service does each second
    told = await of_type(rig, "report")
    assert (told.ready, told.processing) == (13, 1)
    assert told.seconds_to_empty == pytest.approx(130)
    await rig.queue.pause()
    await trio.sleep(100)
    assert (await of_type(rig, "report")).seconds_to_empty is None
    rig.engine.stop("done")


async def test_a_type_behind_very_many_others_has_an_age(
    make_rig: Callable[..., Rig],
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """They are not all looked at, and still it is told."""
    monkeypatch.setattr(ready_module, "SCANNED", 10)
    rig = make_rig()
    await rig.start()
    await rig.queue.pause()
    for _ in range(20):
        await rig.queue.submit("mail")
    await rig.queue.submit("fails")
    await trio.sleep(7)
    told = await of_type(rig, "fails")
    assert (told.ready, told.oldest_ready_seconds) == (1, 7)
    rig.engine.stop("done")
