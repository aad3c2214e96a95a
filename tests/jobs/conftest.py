"""What tests of jobs share: handlers that end at different moments and ways."""

import pytest
import trio

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry


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


@pytest.fixture
def ran(registry: Registry) -> list[object]:
    """The payloads of the jobs that ended well, in their order; `slow` and `fails` take 10 s."""
    payloads: list[object] = []

    @registry.job("quick")
    async def quick(payload: object) -> None:
        payloads.append(payload)

    @registry.job("slow")
    async def slow(payload: object) -> None:
        await trio.sleep(10)
        payloads.append(payload)

    @registry.job("fails", retry=Retry(max_retries=0))
    async def fails() -> None:
        await trio.sleep(10)
        raise RuntimeError("no")

    @registry.job("recovers", retry=Retry(base_seconds=20, jitter=0))
    async def recovers(payload: object, job: JobContext) -> None:
        if job.attempt == 1:
            raise RuntimeError("at first")
        payloads.append(payload)

    return payloads
