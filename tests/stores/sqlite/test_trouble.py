"""While the file can't be written or read: who is told so, and that nothing is lost by it."""

import threading
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from job_service.errors import StoreUnavailable, UnknownJob
from job_service.jobs.state.attempt_transitions import start
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft
from job_service.telemetry.events import JobAbandoned, StoreFailed
from tests.conftest import assert_balanced
from tests.stores.sqlite.conftest import Disk, as_after_a_crash, opened_file
from tests.stores.workshop import Workshop


def log(shop: Workshop) -> list[str]:
    """What the store says of itself."""
    names = [event.event for event in shop.events if event.logged]
    return [name for name in names if name in ("store_failing", "store_recovered")]


async def calm(shop: Workshop) -> None:
    """Wait until it keeps jobs again."""
    await shop.store.settled()
    with trio.fail_after(20):
        while shop.store.trouble is not None:
            await trio.sleep(0.01)


async def fall_ill(shop: Workshop, disk: Disk) -> None:
    """Let a submission find out that nothing can be written."""
    disk.failing.add("write")
    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        await shop.new()
    assert shop.held_because is not None


async def test_a_schedule_forgets_the_job_that_was_refused(path: Path, disk: Disk) -> None:
    """And so does a pause that came right after it."""
    async with opened_file(path) as shop:
        draft = Draft("email", b"{}", 3, schedule="nightly")
        (kept,) = await shop.store.submit([draft], schedule="nightly")
        disk.failing.add("write")

        async def submit() -> None:
            with pytest.raises(StoreUnavailable):
                await shop.store.submit([draft], schedule="nightly")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            while shop.store.schedules()["nightly"].last_job_id == kept.id:
                await trio.lowlevel.checkpoint()
            with pytest.raises(StoreUnavailable):  # but it is kept when that is possible again
                await shop.store.pause_schedule("nightly")
            assert shop.store.schedules()["nightly"].last_job_id == kept.id
            disk.failing.clear()
        await calm(shop)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        state = restarted.store.schedules()["nightly"]
        assert (state.is_paused, state.last_job_id) == (True, kept.id)


async def test_clients_are_refused_until_it_is_over(path: Path, disk: Disk) -> None:
    """Submissions, reads and all other calls; the log has one line at each edge."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await fall_ill(shop, disk)
        store = shop.store
        for call in (
            shop.new,
            shop.everything,
            store.view,
            store.counts,
            lambda: store.get(job_id),
            lambda: store.wait(job_id, 1),
            lambda: store.cancel(job_id, "requested"),
            lambda: store.cancel_all(JobFilter(types=("email",)), "requested"),
            lambda: store.pause(None),
            lambda: store.resume(None),
            lambda: store.run_again(job_id),
        ):
            with pytest.raises(StoreUnavailable, match="disk is full") as refused:
                await call()
            assert refused.value.retry_after_seconds > 0
        assert log(shop) == ["store_failing"]
        disk.failing.clear()
        await calm(shop)
        assert log(shop) == ["store_failing", "store_recovered"]
        assert shop.held_because is None
        assert [job.id for job in await shop.everything()] == [job_id]
        assert (await store.get(job_id)).status == "pending"
        await shop.check()
    assert shop.metrics.snapshot().store_errors >= 1


async def test_what_a_refused_client_wanted_never_happens(path: Path, disk: Disk) -> None:
    """Its key, its unique key and its place in the queue are free again, even after a crash."""
    async with opened_file(path, capacity=2) as shop:
        first = await shop.new()
        disk.failing.add("write")
        async with trio.open_nursery() as nursery:

            async def is_refused(draft: Draft, key: str | None) -> None:
                with pytest.raises(StoreUnavailable):
                    await shop.submit(draft, key=key)

            draft = Draft("email", b"{}", 3, unique_key="mail 7", after=(first,))
            nursery.start_soon(is_refused, draft, "key")
            nursery.start_soon(is_refused, draft, "key")
            nursery.start_soon(is_refused, draft, None)
        assert shop.store.blocked == 0
        disk.failing.clear()
        await calm(shop)
        assert [job.id for job in await shop.everything()] == [first]
        async with opened_file(as_after_a_crash(path)) as restarted:
            assert [job.id for job in await restarted.everything()] == [first]
        (again,) = await shop.submit(draft, key="key")
        assert not again.replayed
        assert not again.duplicate
        await shop.run(first)
        assert again.id in shop.waiting
        await shop.check()


async def test_what_runs_goes_on_and_is_recorded_once(path: Path, disk: Disk) -> None:
    """What becomes of jobs meanwhile is told when it is kept, in its order."""
    async with opened_file(path) as shop:
        done, retried, waits = [await shop.new() for _ in range(3)]
        after = await shop.new(after=(done,))
        await shop.start(done)
        await shop.start(retried)
        await fall_ill(shop, disk)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.end, done)
            nursery.start_soon(shop.end, retried, "retry")
            await wait_all_tasks_blocked()
            assert shop.told(done) == ["created", "enqueued", "started"]
            assert shop.told(retried) == ["created", "enqueued", "started"]
            assert after not in shop.waiting
            assert set(shop.running) == {done, retried}
            disk.failing.clear()
        assert shop.told(done)[3:] == ["completed"]
        assert shop.told(retried)[3:] == ["retried"]
        assert {after, retried, waits} == set(shop.waiting)
        await shop.check()
    async with opened_file(path) as restarted:
        assert (await restarted.store.get(done)).status == "completed"
        assert set(restarted.waiting) == {after, retried, waits}
        await restarted.check()


async def test_who_was_called_off_though_the_client_was_refused_stays_called_off(
    path: Path, disk: Disk
) -> None:
    """A cancellation under way when the trouble begins is kept later: only jobs are withdrawn."""
    async with opened_file(path) as shop:
        job_id, running = await shop.new(), await shop.new()
        await shop.start(running)
        disk.failing.add("write")
        with pytest.raises(StoreUnavailable):
            await shop.store.cancel_all(JobFilter(types=("email",)), "requested")
        assert shop.interrupted == [running]
        disk.failing.clear()
        await calm(shop)
        assert shop.told(job_id)[-1] == "cancelled"
        assert (await shop.store.get(running)).cancel_requested
        await shop.check()


async def test_new_jobs_that_were_called_off_before_they_were_kept_are_withdrawn(
    path: Path, disk: Disk
) -> None:
    """Nobody knows of them, whatever was done to them."""
    async with opened_file(path) as shop:
        old = await shop.new()
        disk.failing.add("write")
        async with trio.open_nursery() as nursery:

            async def submit() -> None:
                with pytest.raises(StoreUnavailable):
                    await shop.new(after=(old,), unique_key="mail 7")

            async def call_off() -> None:
                with pytest.raises(StoreUnavailable):
                    await shop.store.cancel_all(JobFilter(types=("email",)), "requested")

            nursery.start_soon(submit)
            await trio.lowlevel.checkpoint()
            nursery.start_soon(call_off)
        disk.failing.clear()
        await calm(shop)
        assert [job.id for job in await shop.everything()] == [old]
        assert shop.told(old)[-1] == "cancelled"
        await shop.check()


async def test_trouble_that_begins_while_a_submission_is_looked_into_refuses_it(
    path: Path, disk: Disk
) -> None:
    """It may have to read the jobs that it comes after, or the one that is to run again."""
    async with opened_file(path) as shop:
        ended, running = await shop.new(), await shop.new()
        await shop.run(ended)
        await shop.start(running)
        async with trio.open_nursery() as nursery:

            async def submit() -> None:
                with pytest.raises(StoreUnavailable):
                    await shop.new(after=(ended,))

            async def run_again() -> None:
                with pytest.raises(StoreUnavailable):
                    await shop.store.run_again(ended)

            with disk.stuck():
                nursery.start_soon(shop.end, running)
                await wait_all_tasks_blocked()
                nursery.start_soon(submit)
                nursery.start_soon(run_again)
                await wait_all_tasks_blocked()
                disk.failing.add("write")
            await trio.sleep(0.02)
            disk.failing.clear()
        await calm(shop)
        assert {job.id for job in await shop.everything()} == {ended, running}


async def test_what_is_kept_is_not_withdrawn_because_old_jobs_cant_be_deleted(
    path: Path, disk: Disk
) -> None:
    """To delete them takes room on the disk, too. It is tried again; the metrics tell of it."""
    async with opened_file(path, retain=1) as shop:
        for _ in range(3):
            await shop.run_and_forget(await shop.new())
        await shop.start(await shop.new())
        disk.failing.add("_delete_first")
        await shop.end(next(iter(shop.running)))
        job_id = await shop.new()
        assert (await shop.store.get(job_id)).status == "pending"
        assert log(shop) == []
        assert any(isinstance(event, StoreFailed) for event in shop.events)
        disk.failing.clear()
        await shop.run(job_id)
        assert len(await shop.everything()) == 1
        await shop.check()


async def read(shop: Workshop, job_id: str, call: str) -> None:
    """Have it read in this way."""
    match call:
        case "get":
            await shop.store.get(job_id)
        case "page":
            await shop.everything()
        case "summaries":
            await shop.new(after=(job_id,))


@pytest.mark.parametrize("call", ["get", "page", "summaries"])
async def test_a_file_that_cant_be_read_is_told(path: Path, disk: Disk, call: str) -> None:
    """Clients get the same answer, and it is counted. What waits still runs."""
    async with opened_file(path) as shop:
        ended = await shop.new()
        await shop.run(ended)
        disk.failing = {"get", "page", "summaries"}
        errors = shop.metrics.snapshot().store_errors
        with pytest.raises(StoreUnavailable, match=r"can't be read now: .* is full") as refused:
            await read(shop, ended, call)
        assert refused.value.retry_after_seconds > 0
        assert shop.metrics.snapshot().store_errors == errors + 1
        await shop.new()
        disk.failing.clear()
        await shop.check()


async def test_what_cant_be_kept_until_the_end_is_abandoned(path: Path, disk: Disk) -> None:
    """Each job that may be affected has its line, once; and no others."""
    async with opened_file(path) as shop:
        waits, ends, retried, called_off = [await shop.new() for _ in range(4)]
        for job_id in (ends, retried, called_off):
            await shop.start(job_id)
        await fall_ill(shop, disk)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.end, ends)
            nursery.start_soon(shop.end, retried, "retry")
            nursery.start_soon(shop.end, called_off, "cancel")
            await wait_all_tasks_blocked()
            shop.store.close()
            shop.store.leave_behind(lambda _: "grace_over")
            with trio.move_on_after(0.1) as scope:
                await shop.store.settled()
            assert scope.cancelled_caught
            shop.store.abandon_unkept()
        abandoned = [event for event in shop.events if isinstance(event, JobAbandoned)]
        assert sorted(event.job_id for event in abandoned) == [ends, retried, called_off]
        assert {event.reason for event in abandoned} == {"store_failing"}
        now = shop.metrics.snapshot()
        assert_balanced(now)
        assert (now.jobs_pending, now.jobs_in_progress, now.jobs_abandoned) == (1, 0, 3)
    disk.failing.clear()
    assert log(shop) == ["store_failing"]
    async with opened_file(path) as restarted:
        assert {waits, ends, retried, called_off} == set(restarted.waiting)
        for job_id in (ends, retried, called_off):
            (attempt,) = (await restarted.store.get(job_id)).attempts
            assert attempt.outcome == "lost"
        await restarted.check()


@pytest.mark.parametrize("is_idle", [True, False])
async def test_a_blocked_service_releases_what_runs(path: Path, is_idle: bool) -> None:
    """Another thread ends it; the next start finds the job interrupted, not lost."""
    async with opened_file(path) as shop:
        waits, runs = await shop.new(), await shop.new()
        await shop.start(runs)
        if is_idle:
            await wait_all_tasks_blocked()
        else:  # something is under way, and will not be told by the loop any more
            job = await shop.make_ready(waits)
            shop.store.apply(start(job, "worker-2", lambda: None, shop.clock))
            runs = waits
        thread = threading.Thread(
            target=shop.store.leave_behind, args=[lambda _: "loop_blocked"], name="backstop"
        )
        thread.start()
        thread.join(20)  # the loop is blocked
        assert not thread.is_alive()
        assert shop.told(runs)[-1] == "released"
        assert_balanced(shop.metrics.snapshot())
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert "rescued" not in restarted.told(runs)
        told = await restarted.store.get(runs)
        assert (told.attempts[-1].outcome, told.interruptions, told.losses) == ("interrupted", 1, 0)
        assert restarted.waiting.keys() >= {runs}
        await restarted.check()


async def test_a_blocked_service_on_a_full_disk_abandons_what_runs(path: Path, disk: Disk) -> None:
    """With a line for it, and at once."""
    async with opened_file(path) as shop:
        runs = await shop.new()
        await shop.start(runs)
        disk.failing.add("write_at_once")
        thread = threading.Thread(
            target=shop.store.leave_behind, args=[lambda _: "loop_blocked"], name="backstop"
        )
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        assert shop.told(runs)[-1] == "abandoned"
        assert_balanced(shop.metrics.snapshot())


async def test_a_stop_before_all_is_read_releases_nothing(path: Path) -> None:
    """What was in hand at a crash is still to be rescued then, by the next start."""
    async with opened_file(path) as shop:
        runs = await shop.new()
        await shop.start(runs)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed, recovers=False) as restarted:
        with trio.CancelScope() as scope:
            restarted.store.close()
            restarted.listeners.append(lambda _: scope.cancel())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(restarted.store.recover)
                while not restarted.store.processing:
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        restarted.store.leave_behind(lambda _: "grace_over")
        await restarted.store.settled()
        assert restarted.told(runs) == []
        assert_balanced(restarted.metrics.snapshot())
    async with opened_file(crashed) as restarted:
        assert restarted.told(runs) == ["rescued"]
        with pytest.raises(UnknownJob):
            await restarted.store.get("nothing")
        await restarted.check()


async def test_a_job_that_was_put_off_in_vain_waits_on_as_it_is_then(
    path: Path, disk: Disk
) -> None:
    """Whoever put it off is refused, and the job is not lost: it has the payload, kept or not."""

    def draft(payload: bytes) -> Draft:
        return Draft("email", payload, 3, unique_key="ada", debounce_seconds=60.0)

    async with opened_file(path) as shop:
        (job,) = await shop.submit(draft(b"1"))
        disk.failing = {"write"}
        with pytest.raises(StoreUnavailable):
            await shop.submit(draft(b"2"), Draft("email", b"4", 3), draft(b"3"))
        disk.failing = set()
        await shop.store.settled()
        assert list(shop.waiting) == [job.id]
        assert bytes((await shop.store.get(job.id)).payload) == b"3"
        await shop.check()
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert bytes((await restarted.store.get(job.id)).payload) == b"3"


async def test_a_read_that_never_returns_is_found_out(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks whether the store is well, although there is nothing to write."""
    monkeypatch.setattr("job_service.stores.sqlite.store.STALLED_SECONDS", 0.01)
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await shop.run(job_id)
        async with trio.open_nursery() as nursery:
            with disk.stuck():
                nursery.start_soon(shop.store.get, job_id)
                with trio.fail_after(20):
                    while shop.store.trouble is None:
                        shop.seconds += 1
                        await trio.sleep(0.01)
                with pytest.raises(StoreUnavailable, match="has not answered"):
                    await shop.new()
        await calm(shop)
        assert log(shop) == ["store_failing", "store_recovered"]
