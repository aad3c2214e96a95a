"""A group outlives the process: it ends once, whenever that dies and while nothing can be kept."""

from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from job_service.errors import StoreUnavailable, UnknownGroup
from job_service.jobs.state.attempt_transitions import complete
from job_service.jobs.state.group import Group, new_group
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft
from job_service.jobs.state.transitions import cancel
from job_service.stores.sqlite.store import SqliteStore
from job_service.telemetry.events import GroupEvent
from tests.stores.sqlite.conftest import Disk, as_after_a_crash, opened_file
from tests.stores.workshop import Workshop

EMAIL = Draft("email", b"{}", 3)
DONE = Draft("letter", b'"done"', 3)


def group_of(shop: Workshop, jobs: int) -> Group:
    """A group of so many jobs, which one more is to follow."""
    return new_group(jobs, shop.clock, DONE, DONE)


async def jobs_of(shop: Workshop, group_id: str) -> list[str]:
    """The ids of its jobs."""
    wanted = JobFilter(group=group_id)
    page = await shop.store.page(wanted, after=None, limit=100, newest_first=False)
    return [job.id for job in page.jobs]


async def callbacks(shop: Workshop) -> list[str]:
    """The ids of all jobs that have followed on the end of a group."""
    return [job.id for job in await shop.everything() if job.callback_of is not None]


def told(shop: Workshop) -> list[str]:
    """What was told of groups."""
    return [event.event for event in shop.events if isinstance(event, GroupEvent)]


async def test_a_group_goes_on_after_a_crash_at_any_moment(path: Path) -> None:
    """With what had ended, and with no end counted twice."""
    crashed = []
    async with opened_file(path) as shop:
        group_id = (await shop.store.submit_group(group_of(shop, 2), [EMAIL] * 2)).id
        jobs = await jobs_of(shop, group_id)
        crashed.append(as_after_a_crash(path))
        for job_id in jobs:
            await shop.start(job_id)
            crashed.append(as_after_a_crash(path))
            await shop.end(job_id)
            crashed.append(as_after_a_crash(path))
    for number, copy in enumerate(crashed):
        async with opened_file(copy) as shop:
            group = await shop.store.group(group_id)
            assert group.completed == number // 2
            for job_id in jobs[number // 2 :]:
                assert await callbacks(shop) == []
                await shop.run(job_id)
            group = await shop.store.group(group_id)
            assert (group.status, group.completed) == ("completed", 2)
            assert await callbacks(shop) == [group.callback_id]
            await shop.check()


async def test_an_ended_group_takes_no_memory(path: Path) -> None:
    """It is read from the file, and so is what runs again of it."""
    async with opened_file(path) as shop:
        heavy = Draft("letter", b'"' + b"x" * 10_000 + b'"', 3)
        group = new_group(1, shop.clock, None, heavy)
        group_id = (await shop.store.submit_group(group, [EMAIL])).id
        assert shop.store.weight > 10_000
        await shop.run((await jobs_of(shop, group_id))[0], "fail")
        (callback,) = await callbacks(shop)
        await shop.run(callback)
        assert shop.store.weight == 0
        assert (await shop.store.group(group_id)).status == "failed"
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as shop:
        again = await shop.store.retry_group(group_id)
        assert (again.jobs, again.retry_of) == (1, group_id)
        await shop.run((await jobs_of(shop, again.id))[0], "fail")
        assert len(await callbacks(shop)) == 2
        await shop.check()


async def test_an_end_that_can_t_be_kept_yet_is_told_once_it_is(path: Path, disk: Disk) -> None:
    """The end of the last job, that of the group, and the job that follows: all of it, once."""
    async with opened_file(path) as shop:
        group_id = (await shop.store.submit_group(group_of(shop, 1), [EMAIL])).id
        (job_id,) = await jobs_of(shop, group_id)
        await shop.start(job_id)
        disk.failing.add("write")
        job, attempt = shop.running[job_id]
        shop.store.apply(complete(job, attempt, b"null", shop.clock))
        with pytest.raises(StoreUnavailable):
            await shop.new()
        assert told(shop) == ["group_created"]
        disk.failing.clear()
        await shop.store.settled()
        assert told(shop) == ["group_created", "group_completed"]
        assert await callbacks(shop) == [(await shop.store.group(group_id)).callback_id]
        await shop.check()
        async with opened_file(as_after_a_crash(path)) as restarted:
            assert len(await callbacks(restarted)) == 1


async def test_a_group_that_is_refused_was_never_made(path: Path, disk: Disk) -> None:
    """Nor is a job that was to follow, even if all of its jobs were called off meanwhile."""
    async with opened_file(path) as shop:
        assert isinstance(shop.store, SqliteStore)
        group = group_of(shop, 2)
        disk.failing.add("write")

        async def is_refused() -> None:
            with pytest.raises(StoreUnavailable):
                await shop.store.submit_group(group, [EMAIL] * 2)

        async with trio.open_nursery() as nursery:
            with disk.stuck():
                shop.store._committer.try_out()  # so that what comes now waits for the next one
                await wait_all_tasks_blocked()
                nursery.start_soon(is_refused)
                await wait_all_tasks_blocked()
                for job in list(shop.store._jobs):
                    shop.store.apply(cancel(job, "requested", shop.clock))
                assert len(list(shop.store._jobs)) == 3
        disk.failing.clear()
        await shop.store.settled()
        assert (await shop.everything(), told(shop)) == ([], [])
        with pytest.raises(UnknownGroup):
            await shop.store.group(group.id)
        assert shop.store.weight == 0
        await shop.check()
