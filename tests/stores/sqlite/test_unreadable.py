"""A job whose record in the file can't be read is in nobody's way."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from job_service.errors import UnreadableJob
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.group import new_group
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft, Edit
from tests.conftest import assert_balanced
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.sqlite.test_recovery import dispatched, hand_over

WHY = "its record can't be read: Object missing required field `max_retries`"


def damage(path: Path, *ids: str) -> None:
    """The records of these jobs lose something that all have."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for job_id in ids:
            connection.execute(
                "UPDATE jobs SET record = replace(record, 'max_retries', 'retries') WHERE id = ?",
                [job_id],
            )


def mend(path: Path) -> None:
    """All records are as they were."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE jobs SET record = replace(record, '\"retries', '\"max_retries')")


def records(path: Path) -> dict[str, str]:
    """What is kept of each job, by its id."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT id, record FROM jobs").fetchall())


async def test_it_waits_and_all_others_run(path: Path) -> None:
    """The start says so once; it is shown as what is known of it, whatever it did at the crash."""
    async with opened_file(path) as shop:
        waiting, running, fine = [
            (await shop.submit(Draft("email", b'"ada"', 3, tags=("blue",))))[0].id for _ in range(3)
        ]
        await shop.start(running)
        done = await shop.new()
        await shop.run(done)
        crashed = as_after_a_crash(path)
    damage(crashed, waiting, running, done)
    before = records(crashed)
    registry = Registry()

    @registry.job("email")
    async def email(to: msgspec.Raw) -> None:
        pass

    shop, store, dispatcher = dispatched(crashed, registry)
    async with store.opened():
        await store.recover()
        assert shop.told(waiting) == shop.told(running) == ["misfit"]
        assert await hand_over(dispatcher, 3) == [fine]
        for job_id in (waiting, running):
            job = await store.get(job_id)
            assert (job.status, job.tags, job.waits_because) == ("pending", ("blue",), WHY)
            assert bytes(job.payload) == b'"ada"'
        assert (await store.excerpts([running]))[running].waits_because == WHY
        ended = await store.get(done)
        assert (ended.status, ended.error) == ("completed", WHY)
        page = await store.page(JobFilter(), after=None, limit=10, newest_first=False)
        assert [job.status for job in page.jobs] == ["pending"] * 3 + ["completed"]
        view = await store.view()
        assert (view.pending, view.processing, view.unfit) == (3, 0, 2)
        assert records(crashed) == before
        assert_balanced(shop.metrics.snapshot())


async def test_a_priority_that_there_is_not_stops_no_start(path: Path) -> None:
    """It is taken for the one that is next to it."""
    async with opened_file(path) as shop:
        odd, fine = await shop.new(), await shop.new()
        crashed = as_after_a_crash(path)
    with closing(sqlite3.connect(crashed)) as connection, connection:
        connection.execute(
            "UPDATE jobs SET priority = 42, record = replace(record, '\"max_retries', "
            '\'"priority":42,"max_retries\') WHERE id = ?',
            [odd],
        )
    registry = Registry()

    @registry.job("email")
    async def email(to: msgspec.Raw) -> None:
        pass

    shop, store, dispatcher = dispatched(crashed, registry)
    async with store.opened():
        await store.recover()
        assert shop.told(odd) == ["misfit"]
        assert await hand_over(dispatcher, 2) == [fine]
        assert (await store.get(odd)).priority == 9


async def test_it_can_be_cancelled_and_nothing_else(path: Path) -> None:
    """What changes many jobs passes it over, and cancels it with all others."""
    async with opened_file(path) as shop:
        one = await shop.new(delay_seconds=60.0, unique_key="a")
        two = await shop.new(delay_seconds=60.0)
        fine = await shop.new(delay_seconds=60.0)
        done = await shop.new()
        await shop.run(done)
        crashed = as_after_a_crash(path)
    damage(crashed, one, two, done)
    async with opened_file(crashed) as restarted:
        store = restarted.store
        with pytest.raises(UnreadableJob, match=f"job {one} can only be cancelled: its record"):
            await store.edit(one, Edit(priority=1))
        with pytest.raises(UnreadableJob):
            await store.run_again(done)
        (again,) = await restarted.submit(
            Draft("email", b"[1]", 3, unique_key="a", debounce_seconds=1)
        )
        assert (again.id, again.duplicate) == (one, True)
        assert (await store.run_now_all(JobFilter(types=("email",)))).made_ready == 1
        assert (await store.cancel(one, "requested")).status == "cancelled"
        assert (await store.cancel_all(JobFilter(types=("email",)), "requested")).cancelled == 2
        assert [(await store.get(job_id)).status for job_id in (two, fine)] == ["cancelled"] * 2
        await restarted.check()
        crashed = as_after_a_crash(crashed)
    async with opened_file(crashed) as restarted:
        assert restarted.recovered == []


async def test_it_runs_when_it_can_be_read_again(path: Path) -> None:
    """As it was: its attempt was lost with its process."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await shop.start(job_id)
        crashed = as_after_a_crash(path)
    damage(crashed, job_id)
    async with opened_file(crashed):
        pass
    mend(crashed)
    async with opened_file(crashed) as restarted:
        assert restarted.told(job_id) == ["rescued"]
        assert (await restarted.run(job_id)).status == "completed"
        outcomes = [each.outcome for each in (await restarted.store.get(job_id)).attempts]
        assert outcomes == ["lost", "completed"]
        await restarted.check()


async def test_its_group_ends_with_it(path: Path) -> None:
    """A group is not held up for ever by what nobody can read."""
    async with opened_file(path) as shop:
        group = new_group(2, shop.clock)
        await shop.store.submit_group(group, [Draft("email", b"{}", 3)] * 2)
        ids = list(shop.waiting)
        crashed = as_after_a_crash(path)
    damage(crashed, *ids)
    async with opened_file(crashed) as restarted:
        await restarted.store.cancel_group(group.id, "enough")
        kept = await restarted.store.group(group.id)
        assert (kept.status, kept.cancelled) == ("cancelled", 2)
