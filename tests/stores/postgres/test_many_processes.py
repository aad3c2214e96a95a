"""Any number of processes are one service, whichever of them is asked."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, pairwise

import psycopg
import pytest
import trio

from job_service import Draft, JobContext, Snooze
from job_service.errors import QueueFull
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Edit
from job_service.stores.postgres import claimant, member, participant, server_time
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.hearing import Heard, hear
from job_service.stores.postgres.node import NodeId
from job_service.stores.postgres.word import encode, word_to_edit
from job_service.telemetry.events import (
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobMisfit,
    JobStarted,
    SchedulePaused,
    ScheduleResumed,
    utc_now,
)
from tests.stores.postgres.service import Service, services

HOUR = 3_600.0
WORDS = SchedulePaused | ScheduleResumed
NO_RETRY = Retry(max_retries=0)


async def all_at_once(calls: Iterable[Callable[[], Awaitable[object]]]) -> list[object]:
    """What each of these calls gives, or raises."""
    results: list[object] = []

    async def call(what: Callable[[], Awaitable[object]]) -> None:
        try:
            results.append(await what())
        except Exception as error:
            results.append(error)

    async with trio.open_nursery() as nursery:
        for what in calls:
            nursery.start_soon(call, what)
    return results


async def all_ended(service: Service, jobs: list[JobSummary]) -> Counter[str]:
    """How many of these jobs have ended in which way, when all have."""
    return Counter([(await service.ended(job.id)).status for job in jobs])


@pytest.fixture
def registry() -> Registry:
    """A job that takes a moment."""
    registry = Registry()

    @registry.job("email", retry=NO_RETRY)
    async def email() -> None:
        await trio.sleep(0.01)

    return registry


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes know of ready jobs by NOTIFY alone."""
    monkeypatch.setattr(claimant, "POLL_SECONDS", HOUR)
    monkeypatch.setattr(claimant, "FIRST_POLL_SECONDS", HOUR)


@pytest.mark.usefixtures("nobody_looks")
async def test_a_process_hears_of_a_job_that_another_takes_in(
    database: str, registry: Registry
) -> None:
    """It need not look for it."""
    async with (
        services(database, registry, 1) as (worker,),
        services(database, registry, 1, workers=0) as (front_end,),
    ):
        job = await front_end.queue.submit("email")
        assert (await worker.ended(job.id)).status == "completed"


@pytest.mark.usefixtures("nobody_looks")
async def test_a_process_hears_of_a_job_whose_commit_took_long(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the one that took the job in had told of others when that commit began."""
    monkeypatch.setattr(member, "READY_EVERY_SECONDS", 0.5)
    async with (
        services(database, registry, 1) as (worker,),
        services(database, registry, 1, workers=0) as (front_end,),
    ):
        await worker.ended((await front_end.queue.submit("email")).id)
        with psycopg.connect(database) as others:
            others.execute("LOCK TABLE job_service.jobs IN SHARE MODE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(front_end.queue.submit, "email")
                await trio.sleep(0.6)
                others.rollback()
        with trio.fail_after(20):
            while len(worker.said(JobCompleted)) < 2:
                await trio.sleep(0.01)


async def test_the_work_is_shared(database: str, registry: Registry) -> None:
    """Each job runs once, and none of the processes is left out."""
    async with services(database, registry) as (first, second, third):
        drafts = [first.queue.check("email")] * 60
        jobs = list(await first.queue.submit_all(drafts))
        assert await all_ended(second, jobs) == {"completed": 60}
        completed = [each.said(JobCompleted) for each in (first, second, third)]
        assert sorted(chain.from_iterable(completed)) == [job.id for job in jobs]
        assert all(completed)
        assert (await third.queue.view()).finished == 60


async def test_of_a_race_for_a_unique_key_one_job_comes(database: str, registry: Registry) -> None:
    """All others are given that one."""
    async with services(database, registry) as running:
        calls = [
            partial(each.queue.submit, "email", unique_key="ada", delay_seconds=HOUR)
            for each in running * 100
        ]
        results = await all_at_once(calls)
        assert len({getattr(job, "id", None) for job in results}) == 1
        assert sum(not getattr(job, "duplicate", True) for job in results) == 1
        assert sum(len(each.said(JobCreated)) for each in running) == 1


async def test_a_repeated_request_makes_no_second_job(database: str, registry: Registry) -> None:
    """Whichever process it comes to."""
    async with services(database, registry) as running:
        calls = [
            partial(each.queue.submit, "email", idempotency_key="order-7") for each in running * 20
        ]
        results = await all_at_once(calls)
        assert len({getattr(job, "id", None) for job in results}) == 1
        assert sum(not getattr(job, "replayed", True) for job in results) == 1


async def test_a_wall_clock_that_is_set_wrong_misleads_nobody(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All times are by the server's clock: a retry does not come an hour later."""
    registry = Registry()

    @registry.job("email", retry=Retry(max_retries=1, base_seconds=0.01))
    async def email(job: JobContext) -> None:
        await trio.lowlevel.checkpoint()
        if job.attempt == 1:
            monkeypatch.setattr(server_time, "utc_now", in_an_hour)
            raise ValueError

    def in_an_hour() -> datetime:
        return utc_now() + timedelta(hours=1)

    async with services(database, registry, 1) as (service,):
        for _ in range(2):
            job = await service.queue.submit("email")
            ended = await service.ended(job.id)
            assert ended.status == "completed"
            assert ended.finished_at is not None
            assert ended.finished_at - utc_now() < timedelta(minutes=1)


async def test_a_job_comes_after_one_of_another_process(database: str) -> None:
    """It starts when that has completed, and fails if that fails."""
    registry = Registry()
    gate = trio.Event()

    @registry.job("first", retry=NO_RETRY)
    async def first(well: bool) -> None:
        await gate.wait()
        if not well:
            raise ValueError

    @registry.job("second")
    async def second() -> None:
        assert gate.is_set()

    async with services(database, registry) as (one, two, three):
        good, bad = await one.queue.submit("first", True), await one.queue.submit("first", False)
        after_good = await two.queue.submit("second", after=(good.id,))
        after_bad = await two.queue.submit("second", after=(bad.id,))
        waits = (await three.queue.get(after_good.id)).waits_because
        assert waits == f"waits for job {good.id}"
        assert (await three.queue.view()).blocked == 2
        gate.set()
        assert (await three.ended(after_good.id)).status == "completed"
        failed = await three.ended(after_bad.id)
        assert failed.error == f"job {bad.id}, which it was to follow, has failed"


async def test_a_limit_holds_for_all_processes_together(database: str) -> None:
    """It is never exceeded, and all jobs run."""
    registry = Registry()
    running = most = 0

    @registry.job("scrape", concurrency=2)
    async def scrape() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(0.1)
        running -= 1

    async with services(database, registry, workers=3) as nodes:
        drafts = [nodes[0].queue.check("scrape")] * 12
        jobs = list(await nodes[0].queue.submit_all(drafts))
        assert await all_ended(nodes[0], jobs) == {"completed": 12}
        assert most == 2


async def test_a_running_job_is_cancelled_from_anywhere(database: str) -> None:
    """And who waits for its end is told, wherever that is."""
    registry = Registry()

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    async with services(database, registry) as nodes:
        for asked in nodes:
            job = await nodes[0].queue.submit("endless")
            while (await asked.queue.get(job.id)).status == "pending":
                await trio.sleep(0.01)
            await asked.queue.cancel(job.id)
            assert (await nodes[-1].ended(job.id)).status == "cancelled"


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_a_running_job_that_is_called_off_starts_no_more(
    database: str, concurrency: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if its attempt ends before its process has heard of that."""
    registry = Registry()
    gate = trio.Event()

    @registry.job("poll", concurrency=concurrency)
    async def poll() -> None:
        await gate.wait()
        raise Snooze(0.1)

    async def hear_nothing() -> None:
        await trio.lowlevel.checkpoint()

    async with services(database, registry, 1) as (holder,):
        monkeypatch.setattr(holder.store, "_hear", hear_nothing)
        job = await holder.queue.submit("poll")
        with trio.fail_after(20):
            while not holder.said(JobStarted):
                await trio.sleep(0.01)
        async with services(database, registry, 1, workers=0) as (other,):
            assert (
                await other.queue.cancel(job.id, "a\\b", by="office\\al")
            ).status == "processing"
            gate.set()
            ended = await other.ended(job.id)
            assert (ended.status, ended.attempt) == ("cancelled", 1)
        assert holder.said(JobCancelled) == [job.id]
        said = [(e.reason, e.by) for e in holder.events if isinstance(e, JobCancelled)]
        assert said == [("a\\b", "office\\al")]  # each backslash as it was given


async def test_waiting_jobs_are_cancelled_from_anywhere(database: str, registry: Registry) -> None:
    """One, or all of a type."""
    async with services(database, registry) as (one, two, three):
        jobs = [await one.queue.submit("email", delay_seconds=HOUR) for _ in range(10)]
        assert (await two.queue.cancel(jobs[0].id)).status == "cancelled"
        assert (await three.queue.cancel_all("email")).cancelled == 9
        assert await all_ended(one, jobs) == {"cancelled": 10}


async def test_a_pause_is_one_of_all_processes(database: str, registry: Registry) -> None:
    """Whoever says it, and whoever takes it back."""
    async with services(database, registry) as (one, two, three):
        await one.queue.pause("email")
        while (await two.queue.view()).paused_types != ["email"]:
            await trio.sleep(0.01)
        jobs = [await two.queue.submit("email") for _ in range(5)]
        assert (await three.queue.wait(jobs[0].id, 0.3)).status == "pending"
        assert not any(each.said(JobStarted) for each in (one, two, three))
        await three.queue.resume("email")
        assert await all_ended(one, jobs) == {"completed": 5}


@pytest.mark.slow
async def test_a_paused_schedule_is_paused_in_all_processes(database: str) -> None:
    """At once, also in those that were not told; who runs it now, anywhere, gets one job."""
    registry = Registry()

    @registry.cron("* * * * * *", name="often")
    async def often() -> None:
        await trio.lowlevel.checkpoint()

    def made() -> list[str]:
        return sorted(chain.from_iterable(each.said(JobCreated) for each in nodes))

    async with services(database, registry) as nodes:
        one, two, three = nodes
        await one.queue.schedules.pause("often", by="alice")
        before = made()
        due = one.queue.schedules.views()[0].next_ticks
        with trio.fail_after(20):
            for each in nodes:  # until each has seen two ticks go by
                while each.queue.schedules.views()[0].next_ticks[0] <= due[2]:
                    await trio.sleep(0.05)
        assert made() == before
        told = [each.queue.schedules.views()[0] for each in nodes]
        assert [(view.paused, view.paused_by) for view in told] == [(True, "alice")] * 3
        job = await two.queue.schedules.run_now("often")
        assert made() == sorted([*before, job.id])
        assert (await three.ended(job.id)).schedule == "often"
        await three.queue.schedules.resume("often")
        with trio.fail_after(20):
            while len(made()) < len(before) + 3:
                await trio.sleep(0.05)
        jobs = await one.queue.list()
        ticks = [each.scheduled_for for each in jobs if each.id != job.id]
        assert len(set(ticks)) == len(ticks)  # each tick makes one job, as ever
        words = [e.event for each in nodes for e in each.events if isinstance(e, WORDS)]
        assert words == ["schedule_paused", "schedule_resumed"]


async def test_the_capacity_is_that_of_the_whole_store(database: str, registry: Registry) -> None:
    """Under a race of all processes as many jobs come in as there are places."""
    async with services(database, registry, capacity=10) as nodes:
        calls = [partial(each.queue.submit, "email", delay_seconds=HOUR) for each in nodes * 20]
        results = await all_at_once(calls)
        assert sum(isinstance(each, JobSummary) for each in results) == 10
        assert sum(isinstance(each, QueueFull) for each in results) == 50


async def test_a_process_that_stops_gives_its_jobs_back(database: str) -> None:
    """Others run them, and that costs no retry."""
    registry = Registry()
    gate = trio.Event()

    @registry.job("slow", retry=NO_RETRY)
    async def slow() -> None:
        await gate.wait()

    async with services(database, registry) as nodes:
        jobs = [await nodes[0].queue.submit("slow") for _ in range(4)]
        with trio.fail_after(10):
            while not nodes[0].said(JobStarted):
                await trio.sleep(0.01)
        nodes[0].engine.stop("told to")
        gate.set()
        assert await all_ended(nodes[1], jobs) == {"completed": 4}


async def test_jobs_are_left_to_processes_that_can_run_them(database: str) -> None:
    """Whoever takes them in need not have a handler."""

    def registry(index: int) -> Registry:
        registry = Registry()

        @registry.job("letter" if index else "email")
        async def handler() -> None:
            await trio.lowlevel.checkpoint()

        return registry

    async with services(database, registry, number=2) as (emails, letters):
        jobs = [await letters.queue.submit("letter") for _ in range(5)]
        assert await all_ended(emails, jobs) == {"completed": 5}
        assert emails.said(JobStarted) == []


async def test_a_job_that_fits_only_elsewhere_is_left_to_others(database: str) -> None:
    """Whoever has claimed it gives it back, and says why, once."""
    old_registry, new_registry = Registry(), Registry()

    @old_registry.job("email")
    async def old_email(to: int) -> None:
        await trio.lowlevel.checkpoint()

    @new_registry.job("email")
    async def new_email(to: str) -> None:
        await trio.lowlevel.checkpoint()

    async with services(database, old_registry, number=1) as (old,):
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT job_service.submit('email', '\"ada\"')").fetchone()
        with trio.fail_after(10):
            while not old.said(JobMisfit):
                await trio.sleep(0.01)
        async with services(database, new_registry, number=1) as (new,):
            assert row is not None
            assert (await new.ended(row[0])).status == "completed"
        assert old.said(JobMisfit) == [row[0]]
        assert old.said(JobStarted) == []


@pytest.mark.parametrize("asked", [0, 1])
async def test_a_change_reaches_a_job_that_is_being_given_back(
    database: str, registry: Registry, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever process is asked, while the one that holds the job is about to leave it."""
    async with services(database, registry, 2) as both:
        holder = both[0].store
        for each in both:
            each.store._runner.pause("email")
        job = await both[0].queue.submit("email")
        held = holder._jobs.get(job.id)
        assert held is not None
        assert held.ready_monotonic is not None

        async def give_back_meanwhile(connection: Connection, node: NodeId) -> Heard:
            heard = await hear(connection, node)
            if heard.to_edit:
                monkeypatch.undo()
                holder._give_back_ready([held])
            return heard

        monkeypatch.setattr(participant, "hear", give_back_meanwhile)
        if asked == 0:
            holder._give_back_ready([held])
        assert (await both[asked].queue.edit(job.id, priority=1)).priority == 1
        assert (await both[1].queue.get(job.id)).priority == 1


async def test_who_takes_a_job_changes_it_as_others_have_asked_before(
    database: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it was given back after they had asked: they wait for whoever takes it next."""
    monkeypatch.setattr(participant, "POLL_SECONDS", 1_000)
    async with services(database, registry, 1) as (service,):
        service.store._runner.pause("email")
        job = await service.queue.submit("email", delay_seconds=HOUR)
        with psycopg.connect(database) as others:
            others.execute(
                "UPDATE job_service.jobs SET run_at = now(), edit = %s WHERE id = %s",
                (encode(word_to_edit(Edit(priority=1))).decode(), job.id),
            )
        service.store.note_demand()
        with trio.fail_after(20):
            while (await service.queue.get(job.id)).priority != 1:
                await trio.sleep(0.01)


async def test_a_front_end_runs_no_job(database: str, registry: Registry) -> None:
    """It says that nobody is there to run it, until somebody is."""
    async with services(database, registry, 1, workers=0) as (front_end,):
        job = await front_end.queue.submit("email")
        with trio.fail_after(20):
            while (await front_end.queue.get(job.id)).waits_because == "waits for a free worker":
                await trio.sleep(0.01)
        why = (await front_end.queue.get(job.id)).waits_because
        assert why == "no process that is up has a handler for email"
        async with services(database, registry, 1) as (worker,):
            assert (await front_end.ended(job.id)).status == "completed"
            assert worker.said(JobCompleted) == [job.id]


async def test_a_draining_process_leaves_what_waits_to_others(database: str) -> None:
    """At once, and not when what it runs has ended."""
    registry = Registry()
    gate = trio.Event()
    ran: list[str] = []

    @registry.job("slow")
    async def slow(name: str) -> None:
        ran.append(name)
        if name == "first":
            await gate.wait()

    async with services(database, registry, number=2, workers=1) as (draining, other):
        first = await draining.queue.submit("slow", "first")
        with trio.fail_after(10):
            while not ran:
                await trio.sleep(0.01)
        waiting = await draining.queue.submit("slow", "second", delay_seconds=0.5)
        draining.engine.drain(10)
        assert (await other.ended(waiting.id)).status == "completed"
        gate.set()
        assert (await other.ended(first.id)).status == "completed"
        assert other.said(JobCompleted) == [waiting.id]


async def test_a_delayed_job_runs_when_it_is_due(database: str, registry: Registry) -> None:
    """Also if it came after another one; no process holds it until then."""
    async with services(database, registry) as (one, two, _):
        first = await one.queue.submit("email")
        delayed = await two.queue.submit("email", after=(first.id,), delay_seconds=0.2)
        assert (await one.ended(delayed.id)).status == "completed"


async def test_a_tick_makes_one_job(database: str) -> None:
    """However many processes run the schedule."""
    registry = Registry()
    ran = 0

    @registry.every(0.3)
    async def nightly() -> None:
        nonlocal ran
        ran += 1

    async with services(database, registry, number=5) as nodes:
        with trio.fail_after(10):
            while ran < 4:
                await trio.sleep(0.01)
        jobs = await nodes[0].queue.list(job_type="nightly")
    moments = [job.created_at.timestamp() for job in jobs]
    assert min(later - sooner for sooner, later in pairwise(moments)) > 0.14


async def test_each_process_tells_of_all(database: str) -> None:
    """Which job types it has, and what it holds; and a job says if nobody can run it."""

    def registry(index: int) -> Registry:
        registry = Registry()

        @registry.job(("email", "letter")[index])
        async def handler() -> None:
            await trio.sleep_forever()

        return registry

    async with services(database, registry, number=2) as (emails, letters):
        with trio.fail_after(10):
            while len(nodes := [n for n in await letters.queue.nodes() if n.job_types]) < 2:
                await trio.sleep(0.01)
        assert [(node.job_types, node.is_asked) for node in nodes] == [
            (["email"], False),
            (["letter"], True),
        ]
        assert all(0 < node.lease_seconds <= 15 for node in nodes)
        job = await letters.queue.submit_all([Draft("email", b"null", 3)])
        while (await letters.queue.get(job[0].id)).status == "pending":
            await trio.sleep(0.01)
        assert [node.processing for node in await emails.queue.nodes()] == [1, 0]
        unknown = (await letters.queue.submit_all([Draft("fax", b"null", 3)]))[0]
        why = (await emails.queue.get(unknown.id)).waits_because
        assert why == "no process that is up has a handler for fax"
        await letters.queue.cancel(job[0].id)
        assert (await letters.ended(job[0].id)).status == "cancelled"


@pytest.mark.slow
async def test_the_last_of_many_submissions_counts_whoever_is_asked(database: str) -> None:
    """While the job waits, it has the payload of the last one; then it runs once."""
    registry = Registry()
    ran: list[int] = []

    @registry.job("index")
    async def index(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    async with services(database, registry) as processes:
        for number in range(9):
            job = await processes[number % 3].queue.submit(
                "index", number, unique_key="page", debounce_seconds=1
            )
        assert (await processes[0].ended(job.id)).status == "completed"
        assert len(list(await processes[1].queue.list())) == 1
    assert ran == [8]
