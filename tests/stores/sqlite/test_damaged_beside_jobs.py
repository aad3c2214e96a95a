"""Whatever is wrong with a row that is no job: the service starts, and does what harms least."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from job_service.errors import IdempotencyKeyReused, UnknownGroup
from job_service.jobs.state.model import Draft
from job_service.stores.sqlite.damaged_rows import damaged_rows
from job_service.telemetry.events import RowsUnreadable
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.sqlite.sample import closing_file
from tests.stores.sqlite.test_groups import EMAIL, group_of, jobs_of
from tests.stores.workshop import Workshop

NO_UTF8 = "CAST(x'7bff' AS TEXT)"
NO_JSON = "'{'"
LATER = 3 * 60.0  # keys are looked through meanwhile, and what is old is forgotten


def damage(path: Path, table: str, column: str, value: str) -> Path:
    """A copy of the database as it is now, in which all rows of the table have this value."""
    crashed = as_after_a_crash(path)
    with closing(sqlite3.connect(crashed)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = {value}")  # noqa: S608
    return crashed


def unreadable(shop: Workshop) -> list[tuple[str, int]]:
    """Of which tables it was told that so many rows can't be read."""
    found = [event for event in shop.events if isinstance(event, RowsUnreadable)]
    return [(event.table, event.rows) for event in found]


@pytest.mark.parametrize("value", [NO_JSON, NO_UTF8, "'[{}]'"])
async def test_no_request_is_made_again_because_its_answer_is_damaged(
    path: Path, value: str
) -> None:
    """Its key is refused; requests with any other key are made."""
    async with opened_file(path) as shop:
        await shop.submit(EMAIL, key="first", asked="this")
        crashed = damage(path, "keys", "jobs", value)
    for start_at in (0.0, LATER):
        async with opened_file(crashed, start_at=start_at) as restarted:
            assert unreadable(restarted) == [("keys", 1)]
            with pytest.raises(IdempotencyKeyReused):
                await restarted.submit(EMAIL, key="first", asked="this")
            assert len(await restarted.everything()) == 1
            if start_at:
                assert len(await restarted.submit(EMAIL, key="second")) == 1
            await restarted.check()


async def test_a_key_whose_time_is_damaged_is_refused_for_another_day(path: Path) -> None:
    """It is not known when it is to be forgotten."""
    async with opened_file(path) as shop:
        await shop.submit(EMAIL, key="first", asked="this")
        crashed = damage(path, "keys", "until", "'never'")
    async with opened_file(crashed) as restarted:
        assert unreadable(restarted) == [("keys", 1)]
        with pytest.raises(IdempotencyKeyReused):
            await restarted.submit(EMAIL, key="first", asked="this")


@pytest.mark.parametrize(
    ("column", "value", "status", "told"),
    [
        ("status", "'bogus'", "pending", [("keyed_ends", 1)]),
        ("status", NO_UTF8, "pending", [("keyed_ends", 1)]),
        ("finished_at", "'yesterday'", "completed", []),
    ],
)
async def test_a_request_is_answered_as_far_as_it_is_known_how_its_job_ended(
    path: Path, column: str, value: str, status: str, told: list[tuple[str, int]]
) -> None:
    """That is asked once the job is kept no more; it makes no second one."""
    async with opened_file(path, retain=0) as shop:
        (job,) = await shop.submit(EMAIL, key="first", asked="this")
        await shop.run_and_forget(job.id)
        await shop.new()
        crashed = damage(path, "keyed_ends", column, value)
    async with opened_file(crashed, retain=0) as restarted:
        assert unreadable(restarted) == told
        (again,) = await restarted.submit(EMAIL, key="first", asked="this")
        assert (again.id, again.status, again.replayed) == (job.id, status, True)
        assert msgspec.json.encode(again)


@pytest.mark.parametrize(
    ("table", "column"), [("groups", "standing"), ("group_definitions", "definition")]
)
@pytest.mark.parametrize("value", [NO_JSON, NO_UTF8])
async def test_the_jobs_of_a_damaged_group_run(
    path: Path, table: str, column: str, value: str
) -> None:
    """The group itself is not known, and nothing follows on its end."""
    async with opened_file(path) as shop:
        bad = (await shop.store.submit_group(group_of(shop, 2), [EMAIL] * 2)).id
        crashed = damage(path, table, column, value)
    async with opened_file(crashed) as restarted:
        assert unreadable(restarted) == [("groups", 1)]
        fine = (await restarted.store.submit_group(group_of(restarted, 1), [EMAIL])).id
        for job_id in (*await jobs_of(restarted, bad), *await jobs_of(restarted, fine)):
            await restarted.run(job_id)
        with pytest.raises(UnknownGroup, match="is kept, but can't be read"):
            await restarted.store.group(bad)
        assert (await restarted.store.group(fine)).status == "completed"
        await restarted.check()


async def test_a_damaged_group_that_has_ended_is_not_known(path: Path) -> None:
    """Who asks is told why."""
    async with opened_file(path) as shop:
        group_id = (await shop.store.submit_group(group_of(shop, 1), [EMAIL])).id
        (job_id,) = await jobs_of(shop, group_id)
        await shop.run(job_id)
        crashed = damage(path, "groups", "standing", NO_JSON)
    async with opened_file(crashed) as restarted:
        with pytest.raises(UnknownGroup, match="is kept, but can't be read"):
            await restarted.store.group(group_id)


@pytest.mark.parametrize("value", ["'soon'", "'2026-01-31T12:00:00'", NO_UTF8])
async def test_a_damaged_schedule_runs_no_tick_twice_and_stays_paused(
    path: Path, value: str
) -> None:
    """What else is known of it stays."""
    async with opened_file(path) as shop:
        due = shop.clock.now()
        draft = Draft("email", b"{}", 3, schedule="nightly", scheduled_for=due)
        (job,) = await shop.store.submit([draft], schedule="nightly", not_since=due)
        await shop.store.pause_schedule("nightly", "alice")
        await shop.store.resume_schedule("nightly", "alice")
        await shop.store.pause_schedule("nightly", "bob")
        crashed = path
        for column in ("ticked_at", "paused_since", "resumed_at"):
            crashed = damage(crashed, "schedules", column, value)
    async with opened_file(crashed, start_at=60) as restarted:
        assert unreadable(restarted) == [("schedules", 3)]
        state = restarted.store.schedules()["nightly"]
        assert (state.ticked_at, state.last_job_id) == (None, job.id)
        assert (state.is_paused, state.paused_by) == (True, "bob")
        missed = due + timedelta(seconds=30)
        await restarted.store.resume_schedule("nightly")
        assert restarted.store.schedules()["nightly"].passes_over(missed, restarted.clock.now())


@pytest.mark.parametrize(
    ("table", "column", "value", "effect"),
    [
        ("keys", "jobs", NO_JSON, "requests with such keys are refused"),
        ("keys", "until", "'never'", "requests with such keys are refused"),
        ("keyed_ends", "status", "'bogus'", "repeated requests show these as at first"),
        ("groups", "standing", NO_UTF8, "nothing follows on their ends"),
        ("group_definitions", "definition", NO_JSON, "nothing follows on their ends"),
        ("schedules", "ticked_at", "'soon'", "make up for no missed ticks"),
        ("pauses", "job_type", NO_UTF8, "they hold up nothing"),
    ],
)
async def test_a_check_finds_what_a_start_could_not_read(
    path: Path, table: str, column: str, value: str, effect: str
) -> None:
    """It says how many rows of which table these are, and what becomes of them."""
    async with opened_file(path) as shop:
        (job,) = await shop.submit(EMAIL, key="first", asked="this")
        await shop.run(job.id)
        await shop.store.submit_group(group_of(shop, 1), [EMAIL])
        await shop.store.pause_schedule("nightly", "alice")
        draft = Draft("email", b"{}", 3, schedule="nightly", scheduled_for=shop.clock.now())
        await shop.store.submit([draft], schedule="nightly", not_since=shop.clock.now())
        await shop.store.pause("email")
        now = shop.clock.now()
        sound, crashed = as_after_a_crash(path), damage(path, table, column, value)
    with closing_file(sound) as file:
        assert list(damaged_rows(file, now)) == []
    with closing_file(crashed) as file:
        (found,) = damaged_rows(file, now)
    assert (found.table, found.rows) == (table.replace("group_definitions", "groups"), 1)
    assert effect in found.effect
    async with opened_file(crashed) as restarted:
        told = [] if table == "pauses" else [(found.table, found.rows)]
        assert unreadable(restarted) == told


async def test_a_damaged_pause_is_one_of_no_type(path: Path) -> None:
    """It is shown, and nothing is held up."""
    async with opened_file(path) as shop:
        await shop.store.pause("email")
        crashed = damage(path, "pauses", "job_type", NO_UTF8)
    async with opened_file(crashed) as restarted:
        assert msgspec.json.encode(await restarted.store.view())
        await restarted.run(await restarted.new())
