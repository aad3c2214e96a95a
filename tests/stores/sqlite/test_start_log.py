"""A job may end its process in its first statement, before its start is kept: it is counted."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from job_service.errors import StoreRefused
from job_service.jobs.state.attempt_transitions import start
from job_service.jobs.state.model import Attempt
from job_service.stores.sqlite import start_log
from job_service.stores.sqlite.start_log import Begun, StartLog
from job_service.telemetry.events import JobRescued
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.workshop import Workshop

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def attempt(number: int) -> Attempt:
    """One that begins."""
    return Attempt(number, "worker-7", NOW, 0.0, lambda: None)


async def begin(shop: Workshop, *ids: str) -> None:
    """Workers take these jobs, and nothing of it is kept yet."""
    jobs = [await shop.make_ready(job_id) for job_id in ids]
    for job in jobs:
        shop.store.apply(start(job, "worker-1", lambda: None, shop.clock))


async def test_a_start_that_was_not_kept_is_counted(path: Path) -> None:
    """Its attempt was lost, and the next one has the next number."""
    async with opened_file(path) as shop:
        job_id, waits = await shop.new(), await shop.new()
        began = shop.clock.now()
        await begin(shop, job_id)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed, start_at=60) as restarted:
        (line,) = [event for event in restarted.events if isinstance(event, JobRescued)]
        assert (line.job_id, line.attempt, line.worker_id) == (job_id, 1, "worker-1")
        detail = await restarted.store.get(job_id)
        (lost,) = detail.attempts
        assert (lost.outcome, lost.started_at) == ("lost", began)
        assert (await restarted.store.get(waits)).attempts == []
        assert restarted.waiting[job_id].retries == 0
        await restarted.check()
        assert (await restarted.start(job_id)).number == 2
        await restarted.end(job_id)
        await restarted.run(waits)
        await restarted.check()
        crashed = as_after_a_crash(crashed)
    async with opened_file(crashed) as restarted:
        assert restarted.waiting == {}
        assert not any(isinstance(event, JobRescued) for event in restarted.events)


async def test_a_retry_that_was_not_kept_is_counted(path: Path) -> None:
    """As every attempt is."""
    async with opened_file(path) as shop:
        job_id = await shop.new()
        await shop.run_and_forget(job_id, "retry")
        await begin(shop, job_id)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        detail = await restarted.store.get(job_id)
        assert [(each.attempt, each.outcome) for each in detail.attempts] == [
            (1, "failed"),
            (2, "lost"),
        ]
        assert restarted.waiting[job_id].retries == 1


async def test_what_is_cut_off_in_the_middle_of_an_entry_did_not_begin(path: Path) -> None:
    """Its handler comes after that; all other entries count."""
    async with opened_file(path) as shop:
        whole, cut_off = await shop.new(), await shop.new()
        await begin(shop, whole, cut_off)
        crashed = as_after_a_crash(path)
    log = Path(f"{crashed}-starts")
    entries = bytearray(log.read_bytes())
    second = entries.index(cut_off.encode())
    entries[second + 10 : second + 100] = bytes(90)
    log.write_bytes(entries)
    async with opened_file(crashed) as restarted:
        assert len((await restarted.store.get(whole)).attempts) == 1
        assert (await restarted.store.get(cut_off)).attempts == []


async def test_no_more_begin_while_too_many_starts_are_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because the log of starts has only so much room."""
    monkeypatch.setattr("job_service.stores.sqlite.store.MOST_UNKEPT", 1)
    async with opened_file(path) as shop:
        first, second = await shop.new(), await shop.new()
        await begin(shop, first)
        assert shop.held_because is None
        await shop.make_ready(second)
        await begin(shop, second, await shop.new())
        assert shop.held_because is not None
        await shop.store.settled()
        assert shop.held_because is None


async def test_a_log_that_is_cut_off_harms_nobody(path: Path) -> None:
    """The service goes on, and what begins after that is counted."""
    async with opened_file(path) as shop:
        first, second = await shop.new(), await shop.new()
        await begin(shop, first)
        os.truncate(f"{path}-starts", 0)
        await begin(shop, second)
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert len((await restarted.store.get(second)).attempts) == 1


async def test_a_start_that_cant_be_written_down_is_an_error_of_the_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job runs, and its start is kept with the next commit."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with opened_file(path) as shop:
        job_id = await shop.new()
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            await begin(shop, job_id)
        assert shop.metrics.snapshot().store_errors == 1
        await shop.store.settled()
        crashed = as_after_a_crash(path)
    async with opened_file(crashed) as restarted:
        assert len((await restarted.store.get(job_id)).attempts) == 1


def test_the_log_has_the_last_attempts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each job the last one; the oldest entries make room for new ones."""
    monkeypatch.setattr(start_log, "_BYTES", 3 * 128)
    log = StartLog.open(path)
    for job_id, number in [("a", 1), ("b", 1), ("b", 2)]:
        log.add(job_id, attempt(number))
    assert log.read() == {
        "a": Begun("a", 1, "worker-7", NOW),
        "b": Begun("b", 2, "worker-7", NOW),
    }
    log.add("c", attempt(1))
    log.close()
    again = StartLog.open(path)
    assert again.read().keys() == {"b", "c"}
    again.close()


def test_an_entry_has_room_for_the_longest_attempt(path: Path) -> None:
    """Else it would run over the next one."""
    log = StartLog.open(path)
    late = NOW.replace(microsecond=123_456)
    longest = Attempt(10**9, "worker-100000", late, 0.0, lambda: None)
    log.add("0" * 36, longest)
    log.add("b", attempt(1))
    assert log.read().keys() == {"0" * 36, "b"}
    log.close()


async def test_without_a_log_of_starts_there_is_no_store(path: Path) -> None:
    """The line says which file it is."""
    os.mkfifo(f"{path}-starts")
    with pytest.raises(StoreRefused, match=r"jobs\.db-starts is no file: move it away"):
        async with opened_file(path):
            raise AssertionError("it is not opened")


async def test_a_log_of_starts_that_does_not_fit_on_the_disk_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full may take a part, and says so only when asked for the rest."""
    write = os.pwrite

    def write_some(descriptor: int, data: bytes, offset: int) -> int:
        room = 10_000 - offset
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:room], offset)

    monkeypatch.setattr(os, "pwrite", write_some)
    with pytest.raises(StoreRefused, match=r"can't use .*jobs\.db-starts: No space left on device"):
        async with opened_file(path):
            raise AssertionError("it is not opened")
