"""One job with all its retries takes a test milliseconds, whatever the job waits for."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from job_service import (
    InvalidPayload,
    JobContext,
    JobDetail,
    Registry,
    ResourceFailed,
    Retry,
    Snooze,
    UnknownJobType,
)
from job_service.testing import (
    assert_completed,
    assert_failed,
    run,
    run_sync,
    virtual_service,
    virtual_time,
    waits,
)
from tests.jobs import process_handlers

HOUR = 3_600
START = datetime(2026, 3, 28, 22, tzinfo=UTC)


class Bank:
    """Fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    def charge(self) -> str:
        """A receipt, or an error."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the bank is closed")
        return "receipt"


@pytest.fixture
def shop(registry: Registry) -> Registry:
    """A shop with a real bank, which no test may reach, and handlers of each kind."""

    @registry.resource
    async def bank() -> AsyncIterator[Bank]:
        raise AssertionError("a test has opened the real bank")
        yield Bank()

    retry = Retry(base_seconds=HOUR, max_seconds=24 * HOUR)

    @registry.job("charge", retry=retry, timeout=20)
    async def charge(euros: int, bank: Bank, job: JobContext) -> str:
        await trio.sleep(1)
        return f"{bank.charge()} for {euros}"

    @registry.job("in_thread", retry=retry, timeout=20)
    def in_thread(bank: Bank) -> str:
        return bank.charge()

    @registry.job("alone")
    async def alone() -> None:
        pass

    return registry


async def test_a_retry_after_an_hour_takes_no_hour(
    shop: Registry, autojump_clock: MockClock
) -> None:
    """The job waits one hour and then two, to the second: jitter shortens nothing here."""
    job = await run(shop, "charge", 9, resources={"bank": Bank(failures=2)})
    assert_completed(job, "receipt for 9")
    assert waits(job) == [HOUR, 2 * HOUR]
    assert trio.current_time() == 3 * HOUR + 3


def test_a_plain_test_needs_no_plugin(shop: Registry) -> None:
    """`run_sync` runs Trio itself."""
    job = run_sync(shop, "charge", 9, resources={"bank": Bank(failures=9)}, max_retries=1)
    assert assert_failed(job, "the bank is closed") == "ConnectionError: the bank is closed"
    assert waits(job) == [HOUR]


def test_all_dates_of_a_job_are_on_virtual_time(shop: Registry) -> None:
    """Its creation, its attempts and its end, from the date on that the test asks for."""
    bank = Bank(failures=1)
    job = run_sync(shop, "charge", 9, resources={"bank": bank}, start=START, delay_seconds=60)
    assert job.created_at == START
    first, second = job.attempts
    assert (first.started_at, first.run_seconds) == (START + timedelta(seconds=60), 1.0)
    assert second.finished_at == job.finished_at == START + timedelta(seconds=62 + HOUR)


def test_a_job_may_wait_for_a_date(shop: Registry) -> None:
    """`run_at` is on the virtual wall clock, too."""
    tomorrow = START + timedelta(days=1)
    job = run_sync(shop, "charge", 9, resources={"bank": Bank()}, start=START, run_at=tomorrow)
    assert job.attempts[0].started_at == tomorrow


def test_a_job_may_be_that_of_a_tick(registry: Registry) -> None:
    """The handler is told for which tick of its schedule it runs."""

    @registry.job("report")
    async def report(job: JobContext) -> str:
        assert job.scheduled_for is not None
        return job.scheduled_for.date().isoformat()

    night = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert_completed(run_sync(registry, "report", scheduled_for=night), "2026-03-29")


def test_only_what_the_handler_takes_is_opened(shop: Registry) -> None:
    """A handler can be tested though another one needs a database."""
    assert_completed(run_sync(shop, "alone"), None)
    with pytest.raises(ResourceFailed, match="has opened the real bank"):
        run_sync(shop, "charge", 9)


def test_what_is_wrong_with_the_call_is_said(shop: Registry) -> None:
    """Each error comes bare, not in a group."""
    with pytest.raises(UnknownJobType, match="known are alone, charge, in_thread"):
        run_sync(shop, "charg")
    with pytest.raises(ValueError, match="no resource 'banc' to replace; known are bank"):
        run_sync(shop, "charge", 9, resources={"banc": Bank()})
    with pytest.raises(InvalidPayload, match="Expected `int`"):
        run_sync(shop, "charge", "nine", resources={"bank": Bank()})
    no_zone = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="start must be a date with a time zone"):
        run_sync(shop, "alone", start=no_zone)
    with pytest.raises(ValueError, match="scheduled_for must be a date with a time zone"):
        run_sync(shop, "alone", scheduled_for=no_zone)


def test_no_fake_can_take_the_place_of_a_resource_of_processes(registry: Registry) -> None:
    """The process opens its own."""
    registry.resource(runs_in="process")(process_handlers.opened)
    registry.job("uses", runs_in="process")(process_handlers.uses)
    with pytest.raises(ValueError, match="'opened' is opened in other processes"):
        run_sync(registry, "uses", "closed", resources={"opened": {}})


async def test_real_time_is_refused(shop: Registry) -> None:
    """Else a test would wait for an hour, and nobody would know why."""
    with pytest.raises(RuntimeError, match="take the fixture `virtual_time`"):
        await run(shop, "alone")


def test_a_job_that_does_not_end_is_told(registry: Registry) -> None:
    """With all that it has done so far."""

    @registry.job("patient")
    async def patient() -> None:
        raise Snooze(HOUR)

    with pytest.raises(AssertionError) as caught:
        run_sync(registry, "patient", within=timedelta(hours=2, minutes=30))
    assert "has not ended within 2:30:00" in str(caught.value)
    assert "attempt 3 at 2026-01-01 02:00:00: snoozed" in str(caught.value)


def test_threads_retry_on_virtual_time(shop: Registry) -> None:
    """A `def` works in real time, and its retries wait in virtual time."""
    job = run_sync(shop, "in_thread", resources={"bank": Bank(failures=2)})
    assert_completed(job, "receipt")
    assert waits(job) == [HOUR, 2 * HOUR]


def test_time_does_not_jump_while_a_thread_works(registry: Registry) -> None:
    """A thread that takes a moment is not timed out, however much virtual time there is."""
    takes_a_moment = partial(threading.Event().wait, 0.05)

    @registry.job("in_thread", timeout=20)
    def in_thread() -> bool:
        return takes_a_moment()

    @registry.job("on_loop", timeout=20)
    async def on_loop() -> bool:
        return await trio.to_thread.run_sync(takes_a_moment)

    for job_type in "in_thread", "on_loop":
        assert_completed(run_sync(registry, job_type), result=False)


def test_a_timeout_interrupts_a_thread_in_real_time(registry: Registry) -> None:
    """And the retry does not wait for the thread that was let go."""
    release = threading.Event()

    @registry.job("slow", timeout=0.05, retry=Retry(base_seconds=HOUR))
    def slow(job: JobContext) -> int:
        if job.attempt == 1:
            release.wait(60)
        return job.attempt

    job = run_sync(registry, "slow")
    release.set()
    assert_completed(job, 2)
    assert [attempt.outcome for attempt in job.attempts] == ["failed", "completed"]
    assert waits(job) == [HOUR]


async def test_a_thread_that_was_let_go_does_not_stand_for_one_that_works(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """Time does not jump over what the second one does."""
    release = threading.Event()

    @registry.job("slow", timeout=0.05, retry=Retry(max_retries=0))
    def slow() -> None:
        release.wait(60)

    @registry.job("on_loop", timeout=20)
    async def on_loop() -> bool:
        return await trio.to_thread.run_sync(threading.Event().wait, 0.05)

    async with virtual_service(registry) as service:
        assert_failed(await service.run("slow"), "took longer than 0.05 s")
        assert_completed(await service.run("on_loop"), result=False)
        release.set()


def test_handlers_on_asyncio_work_in_virtual_time(registry: Registry) -> None:
    """With fakes for what lives on their loop, and a real hour between two attempts in no time."""

    @registry.resource(runs_in="asyncio")
    async def pool() -> AsyncIterator[str]:
        raise AssertionError("a test has opened the real pool")
        yield ""

    retry = Retry(max_retries=1, base_seconds=HOUR)

    @registry.job("fetch", runs_in="asyncio", retry=retry, timeout=60)
    async def fetch(pool: str, job: JobContext) -> str:
        await asyncio.sleep(0.01)
        if job.attempt == 1:
            raise ConnectionError("not yet")
        return pool

    job = run_sync(registry, "fetch", resources={"pool": "a fake"})
    assert assert_completed(job) == "a fake"
    assert waits(job) == [HOUR]


def test_processes_work_in_virtual_time(registry: Registry) -> None:
    """Starting one takes real time, which is not skipped; retries wait in virtual time."""
    retry = Retry(base_seconds=HOUR)
    registry.job("second_time", runs_in="process", retry=retry, timeout=60)(
        process_handlers.second_time
    )
    job = run_sync(registry, "second_time")
    assert_completed(job, 2)
    assert waits(job) == [HOUR]


def test_asyncio_works_in_real_time_and_waits_in_virtual_time(registry: Registry) -> None:
    """And a fake may take the place of a resource there."""

    @registry.resource(runs_in="asyncio")
    async def bank() -> AsyncIterator[Bank]:
        raise AssertionError("a test has opened the real bank")
        yield Bank()

    @registry.job("asks", runs_in="asyncio", timeout=20, retry=Retry(base_seconds=HOUR))
    async def asks(bank: Bank) -> str:
        await asyncio.sleep(0.05)
        return bank.charge()

    job = run_sync(registry, "asks", resources={"bank": Bank(failures=1)})
    assert_completed(job, "receipt")
    assert waits(job) == [HOUR]


def test_a_server_of_the_test_may_be_in_virtual_time(registry: Registry) -> None:
    """A handler talks to it over a socket, and time jumps while both wait."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep(HOUR)
            await stream.send_all(b"x")

    @registry.job("asks", timeout=2 * HOUR)
    async def asks(port: int) -> float:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.receive_some()
        return trio.current_time()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            assert_completed(await run(registry, "asks", port), HOUR)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock())


def test_time_does_not_jump_while_an_answer_is_on_its_way(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server that is somewhere else, if it comes as soon as answers are waited for."""
    monkeypatch.setattr(virtual_time, "_ARRIVAL_SECONDS", 20)

    @registry.job("asks", timeout=HOUR)
    async def asks(port: int) -> str:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            return bytes(await stream.receive_some()).decode()

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                threading.Event().wait(0.05)
                connection.sendall(b"here")

        elsewhere = threading.Thread(target=answer)
        elsewhere.start()
        job = run_sync(registry, "asks", server.getsockname()[1])
        elsewhere.join()
    assert_completed(job, "here")


def test_hooks_are_run_with_what_they_take(shop: Registry) -> None:
    """Those around an attempt, and those for a job that has failed, which come to their end."""
    told: list[str] = []

    @shop.around
    async def notes(job: JobContext, bank: Bank) -> AsyncIterator[None]:
        told.append(f"attempt {job.attempt} of {job.max_retries + 1}")
        yield

    @shop.on_failure
    async def alarm(job: JobDetail, error: BaseException, bank: Bank) -> None:
        await trio.sleep(5)
        told.append(str(error))

    run_sync(shop, "charge", 9, resources={"bank": Bank(failures=9)}, max_retries=1)
    assert told == ["attempt 1 of 2", "attempt 2 of 2", "the bank is closed"]
