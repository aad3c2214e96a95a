"""`debounce_seconds`: a job runs so long after the last submission with its unique key."""

from typing import Any

import pytest
import trio
import trio.testing

from job_service import InvalidOption, Registry
from tests.jobs.steps import MakeRig, running, virtual_clock

Autojump = trio.testing.MockClock


async def test_a_job_runs_once_with_the_last_payload(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """So long after the last submission, however many there were."""
    begun: list[tuple[float, str]] = []

    @registry.job("index")
    async def index(text: str) -> None:
        begun.append((trio.current_time(), text))

    async with running(registry, clock=virtual_clock()) as rig:
        for number in range(5):
            await rig.queue.submit("index", f"{number}", unique_key="page", debounce_seconds=10)
            await trio.sleep(4)
        await trio.sleep(20)
    assert begun == [(26, "4")]


async def test_a_ready_job_is_put_off_as_well(registry: Registry, autojump_clock: Autojump) -> None:
    """As long as no worker has it, wherever it waits."""
    begun: list[tuple[float, str]] = []

    @registry.job("index", concurrency=1, per=lambda text: text[0])
    async def index(text: str) -> None:
        begun.append((trio.current_time(), text))
        await trio.sleep(20)

    async with running(registry, clock=virtual_clock()) as rig:
        await rig.queue.submit("index", "a0")
        await rig.queue.submit("index", "a1", unique_key="page", debounce_seconds=5)
        await trio.sleep(10)
        job = await rig.queue.submit("index", "b2", unique_key="page", debounce_seconds=5)
        assert job.duplicate
        await trio.sleep(30)
    assert begun == [(0, "a0"), (15, "b2")]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"debounce_seconds": 5}, "debounce_seconds needs a unique_key"),
        (
            {"debounce_seconds": 0, "unique_key": "k"},
            "debounce_seconds must be a number of seconds",
        ),
        (
            {"debounce_seconds": 5, "unique_key": "k", "delay_seconds": 5},
            "debounce_seconds can't be used with delay_seconds or run_at",
        ),
    ],
)
async def test_what_cannot_be_is_refused(
    options: dict[str, Any], problem: str, registry: Registry, make_rig: MakeRig
) -> None:
    """Over HTTP it is a 400."""
    registry.job("index")(lambda text: text)
    rig = make_rig()
    with pytest.raises(InvalidOption, match=problem):
        await rig.queue.submit("index", "text", **options)
