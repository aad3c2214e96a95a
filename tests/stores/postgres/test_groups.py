"""A group is one thing, whichever processes run its jobs and whichever of them is asked."""

from collections import Counter

import pytest
import trio

from job_service import GroupView, JobContext, UnknownGroup
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.stores.postgres import participant, retention
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


@pytest.mark.slow
async def test_of_groups_that_have_ended_the_last_ones_are_kept(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all that have not ended, however old they are; the others are unknown to all processes.

    Their jobs stay for as long as any that have ended, and are still found by the group.
    """
    monkeypatch.setattr(retention, "MAX_ENDED_GROUPS", 2)
    async with services(database, registry, number=2) as running:
        first, second = running
        lasting = await submit(first, "endless")
        ended = []
        for _ in range(4):
            group = await submit(first, "email")
            ended.append(group.id)
            await first.queue.groups.wait(group.id, 30)
        assert [await is_known(second, group_id) for group_id in ended] == [True] * 4
        await first.store._reader.do(first.store._tidy)
        assert [await is_known(second, group_id) for group_id in ended] == [False] * 2 + [True] * 2
        assert [await is_known(first, group_id) for group_id in ended] == [False] * 2 + [True] * 2
        assert (await second.queue.groups.get(lasting.id)).status == "running"
        (job,) = await second.queue.list(group=ended[0])
        assert (job.status, job.group) == ("completed", ended[0])
        await second.queue.groups.cancel(lasting.id)
        assert (await first.queue.groups.wait(lasting.id, 30)).status == "cancelled"


@pytest.mark.slow
async def test_a_key_of_a_group_that_is_forgotten_makes_no_other(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks again hears that it is no longer kept."""
    monkeypatch.setattr(retention, "MAX_ENDED_GROUPS", 0)
    async with services(database, registry, number=1) as (service,):
        groups, drafts = service.queue.groups, [service.queue.check("email")]
        group = await groups.submit(drafts, idempotency_key="k")
        await groups.wait(group.id, 30)
        assert (await groups.submit(drafts, idempotency_key="k")).id == group.id
        await service.store._reader.do(service.store._tidy)
        with pytest.raises(UnknownGroup):
            await groups.submit(drafts, idempotency_key="k")
        assert len(await service.queue.list()) == 1


@pytest.mark.slow
async def test_groups_are_forgotten_while_a_process_runs(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From time to time, and nobody needs to ask for it."""
    monkeypatch.setattr(retention, "MAX_ENDED_GROUPS", 0)
    monkeypatch.setattr(participant, "EVERY_SECONDS", 0.05)
    async with services(database, registry, number=1) as (service,):
        group = await submit(service, "email")
        while await is_known(service, group.id):
            await trio.sleep(0.01)


async def is_known(service: Service, group_id: str) -> bool:
    """Whether the group is kept."""
    try:
        await service.queue.groups.get(group_id)
    except UnknownGroup:
        return False
    return True
