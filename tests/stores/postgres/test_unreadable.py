"""A job whose record somebody has damaged, or a newer program wrote, is in nobody's way."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
import trio
from uuid_utils import UUID

from job_service import Draft
from job_service.errors import IdempotencyKeyReused, UnreadableJob
from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.group import new_group
from job_service.jobs.state.model import TRANSITIONS
from job_service.telemetry.events import JobMisfit, JobRescued, JobStarted
from tests.stores.postgres.service import Service, services

if TYPE_CHECKING:
    from job_service.jobs.queueing.filters import JobFilters

WHY = "its record can't be read: Object missing required field `max_retries`"
HOUR = 3_600.0


class Table:
    """The rows, as somebody changes them by hand."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the statement gives."""
        cursor = self._connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def damage(self, *ids: str) -> None:
        """The records of these jobs lose something that all have."""
        for table in ("jobs", "finished"):
            self.do(
                f"UPDATE job_service.{table} SET record = replace(record, 'max_retries', 'retries')"
                " WHERE id = ANY(%s)",
                list(ids),
            )

    def mend(self, job_id: str) -> None:
        """The record of this job is as it was."""
        self.do(
            "UPDATE job_service.jobs SET record = replace(record, '\"retries', '\"max_retries')"
            " WHERE id = %s",
            job_id,
        )

    def let_a_dead_node_run(self, *ids: str) -> None:
        """A process has begun an attempt of each of these jobs, and has died."""
        node = uuid4()
        self.do(
            "INSERT INTO job_service.nodes (id, host, pid, version, lease_until)"
            " VALUES (%s, 'gone', 1, '1', now() - interval '1 hour')",
            node,
        )
        attempt = {"number": 1, "worker_id": "worker-1", "started_at": "2026-01-31T12:00:00Z"}
        begun = {"status": "processing", "runs": 1, "attempts": [attempt]}
        for job_id in ids:
            ((record,),) = self.do("SELECT record FROM job_service.jobs WHERE id = %s", job_id)
            text = msgspec.json.encode(msgspec.json.decode(record) | begun).decode()
            self.do(
                "UPDATE job_service.jobs SET node = %s, status = 'processing', record = %s"
                " WHERE id = %s",
                *(node, text, job_id),
            )
        self.do(
            "UPDATE job_service.counts SET status = 'processing'"
            " WHERE status = 'pending' AND type IN ("
            "     SELECT type FROM job_service.jobs WHERE node = %s)",
            node,
        )

    def is_counted(self) -> bool:
        """Whether the counts are those of the rows."""
        counted, rows = (
            self.do(
                f"SELECT type, status, {jobs}::int, {bytes_}::int FROM job_service.{table}"
                f" GROUP BY type, status HAVING {jobs} > 0 ORDER BY type, status"
            )
            for table, jobs, bytes_ in [
                ("counts", "sum(jobs)", "sum(bytes)"),
                ("jobs", "count(*)", "sum(bytes)"),
            ]
        )
        return counted == rows


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    """The rows of this test's database."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield Table(connection)


@pytest.fixture
def registry() -> Registry:
    """Jobs that take a name, and give it."""
    registry = Registry()

    @registry.job("email")
    async def email(to: str) -> str:
        await trio.lowlevel.checkpoint()
        return to

    return registry


async def until(is_so: Callable[[], object]) -> None:
    """Return when this is so."""
    with trio.fail_after(60):
        while not is_so():
            await trio.sleep(0.01)


@pytest.mark.parametrize("rate", [None, Rate(1_000, per_seconds=1)])
async def test_a_job_that_can_t_be_read_is_told_and_left(
    database: str, table: Table, rate: Rate | None
) -> None:
    """Each process says so once and goes on; when the job can be read, it runs."""
    registry = Registry()

    @registry.job("email", rate=rate)
    async def email(to: str) -> str:
        await trio.lowlevel.checkpoint()
        return to

    async with services(database, registry) as nodes:
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT job_service.submit('email', '\"ada\"')").fetchone()
            assert row is not None
            (job_id,) = row
            Table(connection).damage(job_id)
        for node in nodes:
            await until(partial(node.said, JobMisfit))
        for node in nodes:
            job = await node.queue.submit("email", "bob")
            assert (await node.ended(job.id)).status == "completed"
            assert node.said(JobMisfit) == [job_id]
        table.mend(job_id)
        assert (await nodes[0].ended(job_id)).status == "completed"


async def delayed(service: Service, *names: str, **options: Any) -> list[str]:
    """The ids of new jobs that are due in an hour."""
    draft = service.queue.check("email", "ada", delay_seconds=HOUR, **options)
    return [(await service.queue.submit_all([draft]))[0].id for _ in names]


async def test_it_is_shown_as_what_is_known_of_it(
    database: str, table: Table, registry: Registry
) -> None:
    """In lists, alone and in counts: its type, its status, its tags, and why it waits."""
    async with services(database, registry, 1) as (service,):
        (waiting,) = await delayed(service, "waiting", tags=["blue"])
        done = await service.queue.submit("email", "bob")
        await service.ended(done.id)
        table.damage(waiting, done.id)

        page = await service.queue.page()
        assert [(job.id, job.status) for job in page.jobs] == [
            (waiting, "pending"),
            (done.id, "completed"),
        ]
        (shown,) = await service.queue.with_excerpts(page.jobs[:1])
        assert (shown.waits_because, shown.payload_excerpt) == (WHY, '"ada"')
        job = await service.queue.get(waiting)
        assert (job.type, job.tags, job.waits_because) == ("email", ("blue",), WHY)
        assert bytes(job.payload) == b'"ada"'
        ended = await service.queue.get(done.id)
        assert (ended.status, ended.error) == ("completed", WHY)
        assert bytes(ended.result or b"") == b'"bob"'
        assert (await service.queue.view()).pending == 1


async def test_it_can_be_cancelled_and_nothing_else(
    database: str, table: Table, registry: Registry
) -> None:
    """What changes many jobs passes it over, and cancels it with all others."""
    async with services(database, registry, 1) as (service,):
        one, two, three, four = await delayed(service, "1", "2", "3", "4")
        table.damage(one, two, three)
        with pytest.raises(UnreadableJob, match=f"job {one} can only be cancelled: its record"):
            await service.queue.edit(one, priority=1)
        with pytest.raises(UnreadableJob):
            await service.queue.run_now(one)
        assert (await service.queue.cancel(one)).status == "cancelled"
        table.damage(one)
        with pytest.raises(UnreadableJob):
            await service.queue.retry(one)
        assert (await service.queue.retry_all("email")).retried == 0

        assert (await service.queue.run_now_all("email")).made_ready == 1
        assert (await service.ended(four)).status == "completed"
        assert (await service.queue.cancel_all("email")).cancelled == 2
        for job_id in (two, three):
            assert (await service.queue.get(job_id)).status == "cancelled"


async def test_it_keeps_its_unique_key_and_its_place_among_others(
    database: str, table: Table, registry: Registry
) -> None:
    """Its key is not free, what comes after it waits, and what came before may fail it."""
    async with services(database, registry, 1) as (service,):
        first = await service.queue.submit("email", "ada", delay_seconds=HOUR)
        options: dict[str, Any] = {"unique_key": "a\\b\0c", "after": [first.id]}
        options["idempotency_key"] = "once"
        job = await service.queue.submit("email", "bob", **options)
        table.damage(job.id)

        again = await service.queue.submit("email", "eve", unique_key="a\\b\0c")
        assert (again.id, again.duplicate, again.unique_key) == (job.id, True, "a\\b\0c")
        later = await service.queue.submit(
            "email", "eve", unique_key="a\\b\0c", debounce_seconds=HOUR
        )
        assert later.id == job.id
        assert (await service.queue.submit("email", "bob", **options)).id == job.id
        follower = await service.queue.submit("email", "eve", after=[job.id])
        await service.queue.cancel(first.id)
        assert (await service.queue.get(job.id)).status == "failed"
        assert (await service.queue.get(follower.id)).status == "failed"


async def test_its_group_ends_with_it(database: str, table: Table, registry: Registry) -> None:
    """A group is not held up for ever by what nobody can read."""
    async with services(database, registry, 1) as (service,):
        group = new_group(2, service.store.clock)
        draft = Draft("email", b'"ada"', 0, delay_seconds=HOUR)
        await service.store.submit_group(group, [draft, draft])
        jobs = (await service.queue.page(group=group.id)).jobs
        table.damage(*(job.id for job in jobs))
        await service.store.cancel_group(group.id, "enough")
        kept = await service.store.group(group.id)
        assert (kept.status, kept.cancelled) == ("cancelled", 2)
        assert {job.group for job in (await service.queue.page(tag=None)).jobs} == {group.id}


async def test_a_group_that_can_t_be_read_ends_and_nothing_follows(
    database: str, table: Table, registry: Registry
) -> None:
    """Nobody knows what was to follow."""
    async with services(database, registry, 1) as (service,):
        follower = Draft("email", b'"eve"', 0)
        group = new_group(1, service.store.clock, on_complete=follower)
        await service.store.submit_group(group, [Draft("email", b'"ada"', 0, delay_seconds=HOUR)])
        table.do("UPDATE job_service.groups SET definition = '{}'")
        kept = await service.store.group(group.id)
        assert kept.status == "running"
        assert round(kept.created_at.timestamp() * 1_000) == UUID(group.id).timestamp  # its id's
        (job,) = (await service.queue.page(group=group.id)).jobs
        await service.queue.run_now(job.id)
        assert (await service.ended(job.id)).status == "completed"
        kept = await service.store.wait_for_group(group.id, 20)
        assert (kept.status, kept.callback_id) == ("completed", None)


async def test_a_key_whose_answer_can_t_be_read_makes_no_second_job(
    database: str, table: Table, registry: Registry
) -> None:
    """Whoever sends it again is refused, and nobody else."""
    async with services(database, registry, 1) as (service,):
        await service.queue.submit("email", "ada", idempotency_key="once")
        table.do("UPDATE job_service.keys SET jobs = '[1]'")
        with pytest.raises(IdempotencyKeyReused, match="can't be read"):
            await service.queue.submit("email", "ada", idempotency_key="once")
        job = await service.queue.submit("email", "ada", idempotency_key="twice")
        assert (await service.ended(job.id)).status == "completed"


async def test_a_rescue_leaves_it_and_rescues_all_others(
    database: str, table: Table, registry: Registry
) -> None:
    """When it can be read again, its attempt was lost, and it runs."""
    async with services(database, registry, 1, lease_seconds=1.0) as (service,):
        first, second, third = await delayed(service, "1", "2", "3")
        table.let_a_dead_node_run(first, second, third)
        table.damage(first, third)
        table.do(
            "UPDATE job_service.jobs SET cancel_reason = 'enough', run_at = now() WHERE id = %s",
            third,
        )
        table.do("UPDATE job_service.jobs SET run_at = now() WHERE id = %s", first)
        await until(lambda: service.said(JobRescued))
        assert service.said(JobRescued) == [second]
        job = await service.queue.get(first)
        assert (job.status, job.waits_because) == ("pending", WHY)
        assert (await service.queue.get(third)).status == "cancelled"

        table.mend(first)
        await until(lambda: first in service.said(JobRescued))
        await service.queue.run_now(first)
        ended = await service.ended(first)
        assert [attempt.outcome for attempt in ended.attempts] == ["lost", "completed"]
        assert ended.status == "completed"
        assert service.said(JobRescued) == [second, first]


async def test_one_that_can_be_read_again_can_be_cancelled_before_anybody_takes_it(
    database: str, table: Table, registry: Registry
) -> None:
    """Its record still says that it runs."""
    async with services(database, registry, 1, lease_seconds=1.0) as (service,):
        first, second = await delayed(service, "1", "2")
        table.let_a_dead_node_run(first, second)
        table.damage(first)
        await until(lambda: service.said(JobRescued) == [second])
        assert table.is_counted()
        table.mend(first)
        ended = await service.queue.cancel(first)
        assert (ended.status, ended.attempts[0].outcome) == ("cancelled", "lost")


async def test_what_does_not_fit_here_is_not_among_the_pending_jobs_here(
    database: str, table: Table, registry: Registry
) -> None:
    """Whatever became of its last attempt, elsewhere."""
    async with services(database, registry, 1) as (service,):
        (job_id,) = await delayed(service, "1")
        ((record,),) = table.do("SELECT record FROM job_service.jobs WHERE id = %s", job_id)
        began = {"number": 1, "worker_id": "worker-1", "started_at": "2026-01-31T12:00:00Z"}
        ended = {"finished_at": "2026-01-31T12:00:01Z", "outcome": "interrupted"}
        known = msgspec.json.decode(record) | {"runs": 1, "attempts": [began | ended]}
        table.do(
            "UPDATE job_service.jobs SET record = %s, payload = '[1]', run_at = now()"
            " WHERE id = %s",
            *(msgspec.json.encode(known).decode(), job_id),
        )
        await until(lambda: service.said(JobMisfit))
        await service.store.settled()
        assert service.metrics.snapshot().jobs_pending == 0


async def test_what_was_asked_of_a_holder_may_be_unreadable_too(
    database: str, table: Table
) -> None:
    """The process that holds the job goes on, and the job stays as it is."""
    registry = Registry()
    is_over = trio.Event()

    @registry.job("long")
    async def long() -> None:
        await is_over.wait()

    async with services(database, registry, 1, workers=1) as (service,):
        running = await service.queue.submit("long")
        await until(lambda: service.said(JobStarted))
        next_one = await service.queue.submit("long", delay_seconds=2)
        table.do(
            "UPDATE job_service.jobs SET edit = '{\"priority\": [7]}' WHERE node IS NOT NULL"
            " AND id = %s",
            next_one.id,
        )
        with trio.fail_after(60):
            while table.do("SELECT FROM job_service.jobs WHERE edit IS NOT NULL"):
                await trio.sleep(0.05)
        is_over.set()
        assert (await service.ended(running.id)).status == "completed"


BROKEN = {
    "the record is that of another job": """record = replace(record, '"id":"', '"id":"0')""",
    "a time of the record has no zone": """record = replace(record, 'Z","run_at', '","run_at')""",
    "the status is unknown": "record = '{', status = 'bogus'",
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
async def test_whatever_is_wrong_with_a_row_its_job_waits(
    database: str, table: Table, registry: Registry, change: str
) -> None:
    """It is shown and counted as pending, and can be cancelled."""
    async with services(database, registry, 1) as (service,):
        (job_id,) = await delayed(service, "1")
        table.do(f"UPDATE job_service.jobs SET {change} WHERE id = %s", job_id)
        shown = await service.queue.get(job_id)
        assert (shown.id, shown.status) == (job_id, "pending")
        assert (shown.waits_because or "").startswith("its record can't be read: ")
        assert [(job.id, job.status) for job in (await service.queue.page()).jobs] == [
            (job_id, "pending")
        ]
        with pytest.raises(UnreadableJob):
            await service.queue.run_now(job_id)
        assert (await service.queue.cancel(job_id)).status == "cancelled"
        view, counts = await service.store.view_and_counts()
        assert (view.pending, counts["email"]["pending"], counts["email"]["cancelled"]) == (0, 0, 1)
        assert set(counts["email"]) == set(TRANSITIONS)
        assert (await service.queue.get(job_id)).status == "cancelled"


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_job_of_an_unknown_status_is_found_as_it_is_counted(
    database: str, table: Table, registry: Registry, has_ended: bool
) -> None:
    """As pending, whoever gave it that status; alone, in all lists, and by its tag."""
    async with services(database, registry, 1) as (service,):
        (other,) = await delayed(service, "1")
        (job_id,) = await delayed(service, "2", tags=["blue"])
        if has_ended:
            await service.queue.cancel(job_id)
        name = "finished" if has_ended else "jobs"
        table.do(f"UPDATE job_service.{name} SET status = 'bogus' WHERE id = %s", job_id)
        table.do("UPDATE job_service.counts SET status = 'bogus' WHERE status = 'cancelled'")
        both = {other: "pending", job_id: "pending"}
        all_pending: list[JobFilters] = [
            {},
            {"status": "pending"},
            {"status": "pending", "job_type": "email"},
        ]
        for filters in all_pending:
            page = await service.queue.page(**filters)
            assert {job.id: job.status for job in page.jobs} == both
        the_one: list[JobFilters] = [
            {"tag": "blue"},
            {"tag": "blue", "status": "pending"},
            {"id_part": job_id},
        ]
        for filters in the_one:
            page = await service.queue.page(**filters)
            assert {job.id: job.status for job in page.jobs} == {job_id: "pending"}
        assert not (await service.queue.page(status=["processing", "cancelled", "failed"])).jobs
        _, counts = await service.store.view_and_counts()
        assert (counts["email"]["pending"], counts["email"]["cancelled"]) == (2, 0)
        shown = await service.queue.get(job_id)
        assert shown.status == "pending"
        if has_ended:
            why = "its record can't be read: its row has the unknown status bogus"
            assert shown.waits_because == why


async def test_a_payload_that_is_no_json_breaks_no_answer(
    database: str, table: Table, registry: Registry
) -> None:
    """The job is shown without it, and can be cancelled."""
    async with services(database, registry, 1) as (service,):
        (job_id,) = await delayed(service, "1")
        table.do("UPDATE job_service.jobs SET payload = '{{{' WHERE id = %s", job_id)
        shown = await service.queue.get(job_id)
        assert (bytes(shown.payload), shown.status) == (b"null", "pending")
        assert (shown.waits_because or "").startswith("its record can't be read: JSON is malformed")
        assert (await service.queue.cancel(job_id)).status == "cancelled"
