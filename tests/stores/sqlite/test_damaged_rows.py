"""Whatever is wrong with the row of a job: the service starts, and the job waits."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from job_service.errors import UnreadableJob
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft, Edit
from tests.conftest import assert_balanced
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.sqlite.test_recovery import dispatched, hand_over

SET = "UPDATE jobs SET"
ZONELESS = "'2026-01-31T12:00:00'"
NO_RECORD = f"{SET} record = '{{'"

DAMAGES = {
    "a time of the record has no zone": f"{SET} record = json_set(record, '$.run_at', {ZONELESS})",
    "the record is that of another job": f"{SET} record = json_set(record, '$.id', 'other')",
    "the record says that it has ended": f"{SET} record = json_set(record, '$.status', 'failed')",
    "the status is unknown": f"{SET} status = 'bogus'",
    "the status is unknown, and the record is damaged": f"{NO_RECORD}, status = 'bogus'",
    "no time can be read": f"{NO_RECORD}, created_at = 'yesterday', run_at = {ZONELESS}",
    "the record is no UTF-8": f"{SET} record = CAST(x'7bff' AS TEXT)",
    "the payload is no UTF-8": "UPDATE payloads SET payload = CAST(x'22ff22' AS TEXT)",
    "the payload is no JSON": "UPDATE payloads SET payload = '{{{'",
    "the payload is lost": "DELETE FROM payloads",
}


def damage(path: Path, statement: str, job_id: str) -> None:
    """The statement changes the row of this job."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"{statement} WHERE id = ?", [job_id])


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES.keys())
async def test_the_job_waits_and_can_be_cancelled(path: Path, statement: str) -> None:
    """All others run. It is listed and counted among those that wait, and can't be changed."""
    async with opened_file(path) as shop:
        draft = Draft("email", b'"ada"', 3, tags=("blue",))
        bad, fine = [(await shop.submit(draft))[0].id for _ in range(2)]
        crashed = as_after_a_crash(path)
    damage(crashed, statement, bad)
    registry = Registry()

    @registry.job("email")
    async def email(to: msgspec.Raw) -> None:
        pass

    shop, store, dispatcher = dispatched(crashed, registry)
    async with store.opened():
        await store.recover()
        assert shop.told(bad) == ["misfit"]
        assert await hand_over(dispatcher, 2) == [fine]
        shown = await store.get(bad)
        assert (shown.id, shown.status, shown.tags) == (bad, "pending", ("blue",))
        assert (shown.waits_because or "").startswith("its record can't be read: ")
        assert msgspec.json.decode(msgspec.json.encode(shown))["id"] == bad
        assert (await store.excerpts([bad]))[bad].waits_because == shown.waits_because
        for wanted in (
            JobFilter(),
            JobFilter(statuses=("pending",)),
            JobFilter(types=("email",)),
            JobFilter(statuses=("pending",), tag="blue"),
        ):
            page = await store.page(wanted, after=None, limit=10, newest_first=False)
            assert [job.id for job in page.jobs] == [bad, fine]
        view, counts = await store.view_and_counts()
        assert (view.pending, view.unfit, counts["email"]["pending"]) == (2, 1, 2)
        with pytest.raises(UnreadableJob):
            await store.edit(bad, Edit(run_now=True))
        assert (await store.cancel(bad, "requested")).status == "cancelled"
        view, counts = await store.view_and_counts()
        assert (view.pending, view.unfit, counts["email"]["pending"]) == (1, 0, 1)
        assert_balanced(shop.metrics.snapshot())
        crashed = as_after_a_crash(crashed)
    async with opened_file(crashed) as restarted:
        assert restarted.recovered == [fine]
        assert (await restarted.store.get(bad)).status == "cancelled"


@pytest.mark.parametrize(
    "statement",
    [
        f"{NO_RECORD}, finished_at = 'never'",
        f"{SET} record = json_set(record, '$.status', 'pending')",
        f"{SET} record = json_set(record, '$.attempts[0].started_at', {ZONELESS})",
        f"{SET} result = '{{{{'",
        f"{SET} result = CAST(x'22ff22' AS TEXT)",
        "UPDATE payloads SET payload = CAST(x'22ff22' AS TEXT)",
        "DELETE FROM payloads",
    ],
)
async def test_one_that_has_ended_is_shown_as_far_as_it_is_known(
    path: Path, statement: str
) -> None:
    """Its error says that its record can't be read."""
    async with opened_file(path) as shop:
        done = await shop.new()
        await shop.run(done)
        crashed = as_after_a_crash(path)
    damage(crashed, statement, done)
    async with opened_file(crashed) as restarted:
        shown = await restarted.store.get(done)
        assert shown.status == "completed"
        assert (shown.error or "").startswith("its record can't be read: ")
        assert msgspec.json.decode(msgspec.json.encode(shown))["id"] == done
        page = await restarted.store.page(JobFilter(), after=None, limit=9, newest_first=False)
        assert [job.status for job in page.jobs] == ["completed"]
        assert msgspec.json.encode(await restarted.store.excerpts([done]))
        with pytest.raises(UnreadableJob):
            await restarted.store.run_again(done)
