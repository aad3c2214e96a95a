"""What the next start finds after a crash: each kind of job, and what was said beside them."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import trio

from job_service.errors import IdempotencyKeyReused, QueueFull, StoreUnavailable
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft, Edit, Job
from job_service.stores.record import record_of
from job_service.stores.sqlite.store import SqliteStore
from job_service.telemetry.events import JobCancelled, JobFailed, JobMisfit, JobRescued, StoreOpened
from tests.conftest import assert_balanced
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.workshop import START, Workshop


async def test_what_waits_waits_on_as_it_was(path: Path) -> None:
    """Its priority, its time, its unique key, its attempts and all that is counted of it."""
    async with opened_file(path) as shop:
        plain = await shop.new(priority=2)
        later = await shop.new(delay_seconds=60.0, unique_key="mail 7", limit_key="acme")
        dated = await shop.new(run_at=START + timedelta(days=1))
        tried = await shop.new()
        await shop.run_and_forget(tried, "retry")
        await shop.run_and_forget(tried, "snooze")
        edited = await shop.new()
        await shop.make_ready(edited)
        await shop.store.edit(edited, Edit(START + timedelta(days=2), 7, b"[7]"))
        before = {job_id: record_of(job) for job_id, job in shop.waiting.items()}
        details = {job_id: await shop.store.get(job_id) for job_id in before}
        crashed = as_after_a_crash(path)
    async with opened_file(crashed, start_at=100) as restarted:
        assert restarted.recovered == [plain, later, dated, tried, edited]
        assert {job_id: record_of(job) for job_id, job in restarted.waiting.items()} == before
        for job_id, detail in details.items():
            assert await restarted.store.get(job_id) == detail
        assert restarted.waiting[tried].retries == 1
        assert all(job.is_recovered for job in restarted.waiting.values())
        (duplicate,) = await restarted.submit(Draft("email", b"{}", 3, unique_key="mail 7"))
        assert (duplicate.id, duplicate.duplicate) == (later, True)
        assert (await restarted.start(tried)).number == 3
        await restarted.end(tried)
        await restarted.check()


async def test_what_has_ended_is_not_run_again(path: Path) -> None:
    """It is read from the file when somebody asks, and takes no memory."""
    async with opened_file(path) as shop:
        ids = {how: await shop.new() for how in ("complete", "fail", "cancel")}
        for how, job_id in ids.items():
            await shop.run(job_id, how)  # type: ignore[arg-type]  # each is a way to end
        called_off = await shop.new()
        await shop.store.cancel(called_off, "requested")
        details = [await shop.store.get(job_id) for job_id in (*ids.values(), called_off)]
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert restarted.recovered == []
        assert restarted.store.weight == 0
        assert [await restarted.store.get(each.id) for each in details] == details
        assert (await restarted.store.view()).finished == 4
        await restarted.check()


async def test_what_was_in_hand_is_rescued(path: Path) -> None:
    """Its attempt was lost, which costs no retry; the books balance in each line."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await shop.start(job_id)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert_balanced(restarted.metrics.snapshot())
        (line,) = [event for event in restarted.events if isinstance(event, JobRescued)]
        assert (line.job_id, line.attempt, line.worker_id) == (job_id, 1, "worker-1")
        detail = await restarted.store.get(job_id)
        assert (detail.status, detail.attempts[0].outcome) == ("pending", "lost")
        page = await restarted.store.page(JobFilter(), after=None, limit=1, newest_first=True)
        for told in (detail, *page.jobs):
            assert (told.losses, told.interruptions) == (1, 0)
        job = restarted.waiting[job_id]
        assert (job.retries, job.losses, job.is_suspect) == (0, 1, True)
        assert (await restarted.start(job_id)).number == 2
        await restarted.end(job_id)
        assert not job.is_suspect
        await restarted.check()


async def test_a_job_that_was_lost_too_often_has_failed(path: Path) -> None:
    """And so has what was to come after it. Its error says what happened each time."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        after = await shop.new(after=(job_id,))
        await shop.start(job_id)
        crashed = as_after_a_crash(path)
    for _ in range(2):
        async with opened_file(crashed) as restarted:
            await restarted.start(job_id)
            crashed = as_after_a_crash(crashed)
    async with opened_file(crashed) as restarted:
        error = "the process ended each of the 3 times while it had this job in hand"
        (line, following) = [event for event in restarted.events if isinstance(event, JobFailed)]
        assert (line.job_id, line.error) == (job_id, error)
        assert following.job_id == after
        assert [each.outcome for each in (await restarted.store.get(job_id)).attempts] == [
            "lost"
        ] * 3
        assert restarted.waiting == {}
        await restarted.check()
        crashed = as_after_a_crash(crashed)
    async with opened_file(crashed) as restarted:
        assert (await restarted.store.get(job_id)).status == "failed"
        await restarted.check()


async def test_what_was_being_called_off_at_the_crash_is(path: Path) -> None:
    """The client was told so."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        after = await shop.new(after=(job_id,))
        await shop.start(job_id)
        assert (await shop.store.cancel(job_id, "requested", "alice")).cancel_requested
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert (await restarted.store.get(job_id)).status == "cancelled"
        assert [event.by for event in restarted.events if isinstance(event, JobCancelled)] == [
            "alice"
        ]
        assert (await restarted.store.get(after)).status == "failed"
        assert restarted.waiting == {}
        await restarted.check()


async def test_what_was_being_called_off_at_a_stop_is(path: Path) -> None:
    """Its handler did not give in before the service ended; the client was told that it will."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await shop.start(job_id)
        assert (await shop.store.cancel(job_id, "requested")).cancel_requested
        shop.store.leave_behind(lambda _: "grace_over")
        await shop.store.settled()
        assert shop.told(job_id)[-1] == "cancelled"
        await shop.check()
    async with opened_file(path) as restarted:
        assert (await restarted.store.get(job_id)).status == "cancelled"
        assert restarted.waiting == {}


@pytest.mark.parametrize("trimmed", [False, True])
async def test_what_comes_after_others_waits_for_those_that_have_not_ended(
    path: Path, trimmed: bool
) -> None:
    """One that has completed is not waited for, be it kept or not."""
    retain = 1 if trimmed else 100
    async with opened_file(path, retain=retain) as shop:
        done, waits = await shop.new(), await shop.new()
        first = await shop.new(after=(done, waits))
        second = await shop.new(after=(first,))
        await shop.run_and_forget(done)
        if trimmed:
            for _ in range(3):
                await shop.run_and_forget(await shop.new())
        assert len([each for each in await shop.everything() if each.id == done]) == (not trimmed)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed, retain=retain) as restarted:
        assert set(restarted.waiting) == {waits}
        assert restarted.store.blocked == 2
        await restarted.run_and_forget(waits)
        assert set(restarted.waiting) == {first}
        await restarted.run_and_forget(first)
        assert set(restarted.waiting) == {second}
        await restarted.check()


async def test_jobs_of_a_clock_that_was_set_back_wait_for_older_ones(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ids come before those of the jobs that they follow."""
    ids = [f"0190000{number}-0000-7000-8000-000000000000" for number in range(3)]
    monkeypatch.setattr("uuid_utils.uuid7", lambda: ids.pop())
    async with opened_file(path) as shop:
        first = await shop.new()
        second = await shop.new(after=(first,))
        third = await shop.new(after=(second, first))
        assert third < second < first
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert set(restarted.waiting) == {first}
        await restarted.run_and_forget(first)
        assert set(restarted.waiting) == {second}
        await restarted.check()


async def test_what_operators_and_schedules_said_stays_said(path: Path) -> None:
    """Pauses, and when each schedule made its last job, to the microsecond. It is told once."""
    async with opened_file(path) as shop:
        await shop.store.pause(None)
        await shop.store.pause("email")
        await shop.store.pause("letter")
        await shop.store.resume("letter")
        draft = Draft("email", b"{}", 3)
        await shop.store.submit([draft], schedule="email", not_since=shop.now())
        shop.seconds += 0.000_001
        (job,) = await shop.store.submit([draft], schedule="letter")
        await shop.store.pause_schedule("email", "ada")
        await shop.store.pause_schedule("letter")
        await shop.store.resume_schedule("letter")
        schedules = dict(shop.store.schedules())
        assert schedules["email"].paused_by == "ada"
        assert (schedules["letter"].last_job_id, schedules["letter"].ticked_at) == (job.id, None)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert restarted.paused == {None, "email"}
        assert (await restarted.store.view()).paused_types == ["email"]
        assert restarted.store.schedules() == schedules
        told = [event.event for event in restarted.events]
        assert (told.count("queue_paused"), told.count("schedule_paused")) == (2, 0)


async def test_a_repeated_request_gets_its_first_jobs(path: Path) -> None:
    """Those that wait, that have ended and that are kept no more; until its day is over."""
    drafts = [Draft("email", b"{}", 3), Draft("email", b"{}", 3, unique_key="mail 7")]
    async with opened_file(path, retain=1) as shop:
        ended, waits = await shop.submit(*drafts, key="key")
        await shop.run_and_forget(ended.id)
        for _ in range(3):
            await shop.run_and_forget(await shop.new())
        with pytest.raises(QueueFull):
            await shop.submit(*[Draft("email", b"{}", 3)] * 200, key="refused")
        crashed = as_after_a_crash(path)
    day = 24 * 3_600.0
    async with opened_file(crashed, retain=1, start_at=day - 1) as restarted:
        again = await restarted.submit(*drafts, key="key")
        assert [(job.id, job.status, job.replayed) for job in again] == [
            (ended.id, "completed", True),
            (waits.id, "pending", True),
        ]
        with pytest.raises(IdempotencyKeyReused):
            await restarted.submit(Draft("email", b"1", 3), key="key")
        await restarted.run_and_forget(waits.id)
        crashed = as_after_a_crash(crashed)
        restarted.seconds = day + 1
        new = await restarted.submit(*drafts, key="key")
        assert not any(job.replayed for job in new)
    async with opened_file(crashed, retain=1, start_at=day - 1) as restarted:
        again = await restarted.submit(*drafts, key="key")
        assert [job.status for job in again] == ["completed", "completed"]


async def test_nobody_is_answered_before_all_is_read(path: Path) -> None:
    """Else a job would not be known that is there."""
    async with opened_file(path, recovers=False) as shop:
        for call in (shop.new, shop.everything, shop.store.view, shop.store.counts):
            with pytest.raises(StoreUnavailable, match="still being read"):
                await call()
        await shop.store.recover()
        await shop.new()


async def test_what_was_found_is_told_in_a_line(path: Path) -> None:
    """Before any line of a job."""
    async with opened_file(path) as shop:
        await shop.run(await shop.new())
        await shop.start(await shop.new())
        await shop.new()
        crashed = as_after_a_crash(path)
    shop = Workshop()
    opened: list[StoreOpened] = []
    store = SqliteStore(
        crashed,
        lambda event: opened.append(event) if isinstance(event, StoreOpened) else None,
        shop.clock,
        capacity=100,
        capacity_bytes=1_000_000,
        retain=100,
    )
    async with store.opened():
        await store.recover()
    (line,) = opened
    assert (line.jobs_pending, line.jobs_rescued, line.jobs_finished) == (2, 1, 1)
    assert line.store == f"sqlite:{crashed}"


# With a real dispatcher.


def fitting() -> Registry:
    """A program that can run `email`, with a payload that has an address."""
    registry = Registry()

    @registry.job("email")
    async def email(to: str) -> None:
        pass

    return registry


async def hand_over(dispatcher: Dispatcher, workers: int) -> list[str]:
    """The ids of the jobs that so many free workers get."""
    send, receive = trio.open_memory_channel[Job](workers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run, send)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(workers):
            dispatcher.worker_is_free()
        got = []
        while True:
            try:
                got.append(receive.receive_nowait().id)
            except trio.WouldBlock:
                break
        nursery.cancel_scope.cancel()
    return got


def dispatched(path: Path, registry: Registry) -> tuple[Workshop, SqliteStore, Dispatcher]:
    """A store that is still to be opened, with the dispatcher of this program."""
    shop = Workshop()
    store = SqliteStore(
        path, shop.hear, shop.clock, capacity=100, capacity_bytes=1_000_000, retain=100
    )
    return shop, store, Dispatcher(registry, store, lambda: 0)


async def test_jobs_that_the_program_cant_run_wait_until_one_can(path: Path) -> None:
    """Neither dropped nor failed: each has its line, says why it waits, and can be called off."""
    async with opened_file(path) as shop:
        fits = (await shop.submit(Draft("email", b'"ada@example.com"', 3)))[0].id
        unfit = (await shop.submit(Draft("email", b"[1]", 3)))[0].id
        unknown = (await shop.submit(Draft("fax", b"{}", 3)))[0].id
        crashed = as_after_a_crash(path)
    shop, store, dispatcher = dispatched(crashed, fitting())
    async with store.opened():
        await store.recover()
        lines = {event.job_id: event.error for event in shop.events if isinstance(event, JobMisfit)}
        assert set(lines) == {unfit, unknown}
        assert lines[unknown] == "no handler is registered for fax"
        for job_id, why in lines.items():
            assert (await store.get(job_id)).waits_because == why
        assert await hand_over(dispatcher, 3) == [fits]
        assert (await store.cancel(unknown, "requested")).status == "cancelled"
        crashed = as_after_a_crash(crashed)
    registry = Registry()

    @registry.job("email")
    async def email(to: msgspec.Raw) -> None:
        pass

    shop, store, dispatcher = dispatched(crashed, registry)
    async with store.opened():
        await store.recover()
        assert not any(isinstance(event, JobMisfit) for event in shop.events)
        assert set(await hand_over(dispatcher, 3)) == {fits, unfit}


async def test_suspects_run_first_and_one_at_a_time(path: Path) -> None:
    """One of those that were in hand has perhaps ended the process."""
    draft = Draft("email", b'"ada@example.com"', 3)
    async with opened_file(path) as shop:
        ids = [job.id for job in await shop.submit(*[draft] * 4)]
        waits, *suspects = ids
        for job_id in suspects:
            await shop.start(job_id)
        crashed = as_after_a_crash(path)
    _, store, dispatcher = dispatched(crashed, fitting())
    async with store.opened():
        await store.recover()
        assert await hand_over(dispatcher, 4) == [suspects[0], waits]


async def test_a_job_that_was_lost_twice_in_a_row_runs_alone(path: Path) -> None:
    """Before all others, also before other suspects, which have all to wait for it."""
    async with opened_file(path) as shop:
        draft = Draft("email", b'"ada@example.com"', 3)
        waits, once, twice = [job.id for job in await shop.submit(*[draft] * 3)]
        await shop.start(twice)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as shop:
        await shop.start(once)
        await shop.start(twice)
        crashed = as_after_a_crash(crashed)
    _, store, dispatcher = dispatched(crashed, fitting())
    async with store.opened():
        await store.recover()
        assert await hand_over(dispatcher, 3) == [twice]
        because = "because its process died while it ran"
        for other in (waits, once):
            story = await store.get(other)
            assert story.waits_because == f"held back: {twice} runs alone, {because}"


async def test_an_innocent_job_survives_any_number_of_killers(path: Path) -> None:
    """It was in hand each time, and never alone."""
    async with opened_file(path) as shop:
        innocent, *killers = [await shop.new() for _ in range(5)]
    for number, killer in enumerate(killers, 1):
        async with opened_file(path) as shop:
            await shop.start(innocent)
            await shop.start(killer)
            path = as_after_a_crash(path)
        async with opened_file(path) as shop:
            job = shop.waiting[innocent]
            assert (job.losses, job.retries, job.runs_alone) == (number, 0, number > 1)
    async with opened_file(path) as shop:
        assert (await shop.run(innocent)).status == "completed"


async def test_who_was_not_lost_since_runs_beside_others(path: Path) -> None:
    """However often it was lost before."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
    for _ in range(2):
        async with opened_file(path) as shop:
            await shop.start(job_id)
            path = as_after_a_crash(path)
    async with opened_file(path) as shop:
        job = shop.waiting[job_id]
        assert job.runs_alone
        await shop.run_and_forget(job_id, "retry")
        assert not job.runs_alone
