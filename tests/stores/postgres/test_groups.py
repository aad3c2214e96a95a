"""A group is one thing, whichever processes run its jobs and whichever of them is asked."""

from collections import Counter

import pytest
import trio

from job_service import GroupView, JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import GroupCompleted
from tests.stores.postgres.service import Service, services

NO_RETRY = Retry(max_retries=0)


@pytest.fixture
def followed() -> Counter[str | None]:
    """How often a job has followed on the end of each group."""
    return Counter()


@pytest.fixture
def registry(followed: Counter[str | None]) -> Registry:
    """A job that ends at once, one that never does, and one that follows."""
    registry = Registry()

    @registry.job("email", retry=NO_RETRY)
    async def email() -> None:
        pass

    @registry.job("endless", retry=NO_RETRY)
    async def endless() -> None:
        await trio.sleep_forever()

    @registry.job("done")
    async def done(job: JobContext) -> None:
        followed[job.callback_of] += 1

    return registry


async def submit(service: Service, *types: str) -> GroupView:
    """A group of such jobs."""
    check = service.queue.check
    return await service.queue.groups.submit(
        [check(name) for name in types], on_complete=check("done"), on_failure=check("done")
    )


@pytest.mark.slow
async def test_one_job_follows_when_many_processes_end_a_group_together(
    database: str, registry: Registry, followed: Counter[str | None]
) -> None:
    """Of many groups, each of small jobs that all processes run at the same time."""
    async with services(database, registry) as running:
        groups = [await submit(each, *["email"] * 6) for _ in range(10) for each in running]
        for number, group in enumerate(groups):
            asked = running[number % 3]
            ended = await asked.queue.groups.wait(group.id, 30)
            assert (ended.status, ended.completed) == ("completed", 6)
            assert (await asked.ended(ended.callback_id or "")).status == "completed"
        assert followed == Counter({group.id: 1 for group in groups})
        told = [
            event.group_id
            for each in running
            for event in each.events
            if isinstance(event, GroupCompleted)
        ]
        assert sorted(told) == sorted(group.id for group in groups)
    for each in running:
        each.check()


@pytest.mark.slow
async def test_a_group_is_cancelled_from_anywhere(
    database: str, registry: Registry, followed: Counter[str | None]
) -> None:
    """What waits and what runs, in whichever process."""
    async with services(database, registry) as running:
        for asked in running:
            group = await submit(running[0], *["endless"] * 12)
            while (await asked.queue.groups.get(group.id)).processing < 6:
                await trio.sleep(0.01)
            done = await asked.queue.groups.cancel(group.id)
            assert done.cancelled + done.interrupted == 12
            ended = await asked.queue.groups.wait(group.id, 30)
            assert (ended.status, ended.cancelled) == ("cancelled", 12)
            await asked.ended(ended.callback_id or "")
            assert followed[group.id] == 1
    for each in running:
        each.check()
