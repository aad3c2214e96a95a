"""What tests of the end of an engine share: handlers that end at different moments and ways."""

import pytest
import trio

from service.jobs.context import JobContext
from service.jobs.registry import Registry
from service.jobs.retry import Retry


@pytest.fixture
def ended_at(registry: Registry) -> list[float]:
    """When the handlers of these tests ended by themselves."""
    moments: list[float] = []

    @registry.job("ten_seconds")
    async def ten_seconds() -> None:
        await trio.sleep(10)
        moments.append(trio.current_time())

    @registry.job("flaky", retry=Retry(base_seconds=20, jitter=0))
    async def flaky(job: JobContext) -> None:
        if job.attempt == 1:
            raise RuntimeError("at first")
        moments.append(trio.current_time())

    @registry.job("cleans")
    async def cleans() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
            moments.append(trio.current_time())

    @registry.job("swallows")
    async def swallows() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return

    @registry.job("untidy", retry=Retry(base_seconds=0))
    async def untidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("the cleanup failed")

    return moments
