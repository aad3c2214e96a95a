"""A Trio program has a service inside: one block, and all of it is there."""

import asyncio
import io
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from job_service import Registry
from job_service.errors import CannotListen
from job_service.hosting import host
from job_service.jobs.queueing.queue import JobQueue
from job_service.settings import Settings

UNKNOWN = "01890000-0000-7000-8000-000000000001"


def settings(tmp_path: Path, **others: Any) -> Settings:
    """Of a service on a free port, whose log a test can read."""
    return Settings(port=0, log_file=str(tmp_path / "log"), **others)


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    """Its log."""
    return [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]


@pytest.fixture
def ran(registry: Registry) -> list[int]:
    """What the handlers of `registry` were given: `note` is quick, `stay` never ends."""
    ran: list[int] = []

    @registry.job("note")
    async def note(number: int) -> int:
        ran.append(number)
        return number

    @registry.job("stay")
    async def stay() -> None:
        await trio.sleep_forever()

    return ran


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((None,), "host takes a Registry, not None"),
        ((Settings(),), r"host takes a Registry, not Settings\("),
        (
            (Registry(), {"port": 0}),
            r"host takes Settings, such as Settings\(port=8080\), not dict",
        ),
        ((Registry(), 0), r"host takes Settings, such as Settings\(port=8080\), not int"),
    ],
)
async def test_what_it_can_t_take_is_refused_in_one_line(
    arguments: tuple[Any, ...], why: str
) -> None:
    """It says what to pass."""
    with pytest.raises(TypeError, match=f"^{why}"):
        async with host(*arguments):
            raise AssertionError("nothing runs")


async def test_the_block_has_its_queue_and_others_its_address(
    registry: Registry, ran: list[int], tmp_path: Path
) -> None:
    """Jobs come from the program and over HTTP, and at the end of the block all have been run."""
    async with host(registry, settings(tmp_path)) as running, httpx.AsyncClient() as client:
        job = await running.queue.submit("note", 1)
        await running.queue.wait(job.id, 10)
        answer = await client.get(f"{running.url}/jobs/{job.id}")
        assert answer.json()["result"] == 1
        assert (await client.get(f"{running.url}/metrics")).json()["jobs_completed"] == 1
        assert running.metrics().jobs_completed == 1
        assert {view.state for view in running.workers()} == {"idle"}
        assert running.schedules() == []
        await running.queue.submit("note", 2)
    assert ran == [1, 2]
    stopped = lines(tmp_path)[-1]
    assert (stopped["event"], stopped["reason"]) == ("service_stopped", "drained")


async def test_what_ends_the_block_ends_the_service(
    registry: Registry, ran: list[int], tmp_path: Path
) -> None:
    """Its error comes out, and no job is left behind without a word."""
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="no luck")):
        async with host(registry, settings(tmp_path)) as running:
            await running.queue.submit("stay")
            raise LookupError("no luck")
    stopped = lines(tmp_path)[-1]
    assert (stopped["event"], stopped["reason"]) == ("service_stopped", "cancelled")
    assert stopped["jobs_abandoned"] == 1


async def test_a_crash_of_the_service_ends_the_block(registry: Registry, tmp_path: Path) -> None:
    """It does not go on as if there were still somebody to run its jobs."""

    @registry.job("break")
    async def break_it() -> None:
        raise KeyboardInterrupt

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with host(registry, settings(tmp_path)) as running:
            await running.queue.submit("break")
            await trio.sleep_forever()
    assert lines(tmp_path)[-1]["reason"] == "crashed"


async def test_an_address_that_cant_be_had_is_told(registry: Registry, tmp_path: Path) -> None:
    """As a program would expect it: by an error that names it."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    chosen = Settings(port=port, log_file=str(tmp_path / "log"))
    with pytest.RaisesGroup(pytest.RaisesExc(CannotListen, match=f"port {port}")):
        async with host(registry, chosen):
            pass
    await listener.aclose()


@pytest.mark.parametrize(
    "run", [trio.run, lambda main: asyncio.run(main())], ids=["trio", "asyncio"]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.submit("note", 1),
        lambda queue: queue.submit_all([queue.check("note", 1)]),
        lambda queue: queue.wait(UNKNOWN, 1),
        lambda queue: queue.cancel_all(status="pending"),
        lambda queue: queue.pause(),
        lambda queue: queue.groups.submit([queue.check("note", 1)]),
    ],
)
async def test_a_call_from_another_loop_is_refused_there(
    registry: Registry,
    ran: list[int],
    tmp_path: Path,
    call: Callable[[JobQueue], Awaitable[Any]],
    run: Callable[[Any], Any],
) -> None:
    """Whoever runs a loop in a thread gets the error, and nobody else notices."""

    async def elsewhere() -> None:
        await call(running.queue)

    async with host(registry, settings(tmp_path)) as running:
        job = await running.queue.submit("stay")
        with pytest.raises(
            RuntimeError, match="call the queue only in the Trio run of its service"
        ):
            await trio.to_thread.run_sync(run, elsewhere)
        await running.queue.cancel(job.id)
        again = await running.queue.submit("note", 3)
        await running.queue.wait(again.id, 10)
    assert ran == [3]
    assert lines(tmp_path)[-1]["reason"] == "drained"


async def test_two_services_live_side_by_side(
    registry: Registry, ran: list[int], tmp_path: Path
) -> None:
    """Each with its own jobs, log and metrics."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    async with (
        host(registry, settings(tmp_path / "one")) as one,
        host(registry, settings(tmp_path / "other")) as other,
    ):
        await one.queue.submit("note", 1)
        assert await other.queue.list() == []
    assert lines(tmp_path / "one")[-1]["jobs_created"] == 1
    assert lines(tmp_path / "other")[-1]["jobs_created"] == 0


async def cut_off(registry: Registry, chosen: Settings, *jobs: str) -> None:
    """Cancel a block while it drains, or while it runs these jobs, which take long."""
    with trio.CancelScope() as scope:
        async with host(registry, chosen) as running, trio.open_nursery() as nursery:
            for job in jobs:
                await running.queue.submit(job)
            scope.deadline = trio.current_time() + 0.2
            if jobs:
                nursery.start_soon(trio.sleep_forever)
    assert scope.cancelled_caught


@pytest.mark.parametrize("jobs", [[], ["stay"]], ids=["draining", "at work"])
async def test_a_timeout_around_the_block_is_kept_whatever_a_resource_does(
    registry: Registry,
    ran: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: list[str],
) -> None:
    """A resource has a moment to close, and is cut short then; the last line is said as always."""
    monkeypatch.setattr("job_service.jobs.running.engine.CLOSING_SECONDS", 0.1)
    closing = []

    @registry.resource
    async def slow() -> AsyncIterator[None]:
        try:
            yield
        finally:
            closing.append("begun")
            await trio.sleep(5)
            closing.append("done")

    await cut_off(registry, settings(tmp_path), *jobs)
    assert closing == ["begun"]
    assert lines(tmp_path)[-1]["event"] == "service_stopped"
    assert lines(tmp_path)[-1]["jobs_abandoned"] == len(jobs)


async def test_a_handler_may_clean_up_when_the_block_is_cancelled(
    registry: Registry, tmp_path: Path
) -> None:
    """As at a second signal."""
    cleaned_up = []

    @registry.job("careful")
    async def careful() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.3)
            cleaned_up.append(True)

    await cut_off(registry, settings(tmp_path), "careful")
    assert cleaned_up == [True]
    (abandoned,) = [line for line in lines(tmp_path) if line["event"] == "job_abandoned"]
    assert abandoned["reason"] == "cancelled"


@pytest.mark.parametrize("end", ["cancelled", "crashed"])
async def test_a_handler_that_cant_be_ended_is_given_up_at_every_end(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """When the block is cancelled or the service crashes, too, the program hears of it."""
    monkeypatch.setattr("job_service.supervisor.END_SECONDS", 0.2)
    given_up = trio.Event()

    @registry.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await given_up.wait()

    @registry.job("crash")
    async def crash() -> None:
        raise KeyboardInterrupt

    with trio.fail_after(20):
        try:
            async with host(registry, settings(tmp_path), give_up=given_up.set) as running:
                await running.queue.submit("stubborn")
                if end == "crashed":
                    await running.queue.submit("crash")
                    await trio.sleep_forever()
                await trio.testing.wait_all_tasks_blocked()
                raise LookupError
        except* (LookupError, KeyboardInterrupt):
            pass
    assert given_up.is_set()
    last = lines(tmp_path)[-1]
    assert (last["event"], last["reason"]) == ("service_stopped", end)
    assert last["jobs_abandoned"] == (2 if end == "crashed" else 1)


class Unwritable(io.StringIO):
    """A stream that has broken."""

    def write(self, _: str) -> int:
        raise RuntimeError("broken")


def raises(error: Exception) -> Callable[[], int]:
    """A function that raises it."""

    def function() -> int:
        raise error

    return function


@pytest.mark.parametrize(
    "fileno",
    [None, lambda: -1, lambda: None, lambda: 10**6, raises(NotImplementedError())],
    ids=["unsupported", "negative", "none", "closed", "raises"],
)
async def test_the_log_goes_to_a_stdout_without_a_descriptor(
    registry: Registry,
    ran: list[int],
    monkeypatch: pytest.MonkeyPatch,
    fileno: Callable[[], int] | None,
) -> None:
    """As in a notebook, or under a GUI: all of it is there when the block is left."""
    stream = io.StringIO()
    if fileno is not None:
        monkeypatch.setattr(stream, "fileno", fileno, raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    async with host(registry, Settings(port=0)) as running:
        await running.queue.submit("note", 1)
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events[-1] == "service_stopped"
    assert "job_completed" in events


async def test_the_log_goes_to_a_stdout_that_can_only_write(
    registry: Registry, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those are that people write to have their output in two places; `print` takes it, too."""
    written = list[str]()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=written.append))
    async with host(registry, Settings(port=0)) as running:
        await running.queue.submit("note", 1)
    assert json.loads(written[-1])["event"] == "service_stopped"


@pytest.mark.parametrize("stream", [None, Unwritable()], ids=["none", "broken"])
async def test_a_service_runs_where_its_log_can_go_nowhere(
    registry: Registry, ran: list[int], monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    """A program without a stdout, or with one that raises, has its jobs run."""
    monkeypatch.setattr(sys, "stdout", stream)
    async with host(registry, Settings(port=0)) as running:
        await running.queue.submit("note", 1)
    assert ran == [1]


def fill(pipe: int) -> None:
    """Write into it for as long as there is room."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(4096))
    os.set_blocking(pipe, True)


async def test_a_log_that_nobody_reads_holds_up_no_task_of_the_program(
    registry: Registry, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block's end waits for it a little, and the program's other tasks go on meanwhile."""
    reading, writing = os.pipe()
    fill(writing)
    turns = 0

    async def go_on() -> None:
        nonlocal turns
        while True:
            await trio.sleep(0.01)
            turns += 1

    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        async with trio.open_nursery() as nursery:
            async with host(registry, Settings(port=0)):
                nursery.start_soon(go_on)
            nursery.cancel_scope.cancel()
    os.close(reading)
    assert turns > 20  # of about a hundred in a second


async def test_what_belongs_to_the_whole_process_is_left_alone(
    registry: Registry, ran: list[int], tmp_path: Path
) -> None:
    """Signals and umask are the program's, and a default timeout of its sockets is its own."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    path = tmp_path / "socket"
    mask = os.umask(0)
    socket.setdefaulttimeout(5)
    try:
        async with host(registry, settings(tmp_path, unix=str(path))):
            assert os.umask(0) == 0
            assert path.stat().st_mode & 0o777 == 0o600
            assert [signal.getsignal(number) for number in numbers] == before
    finally:
        socket.setdefaulttimeout(None)
        os.umask(mask)
    assert not path.exists()


async def test_handlers_that_fill_trio_s_threads_can_t_hold_the_end(
    registry: Registry, tmp_path: Path
) -> None:
    """The service waits for no place that they have taken for ever."""
    may_return = threading.Event()

    @registry.job("crowd")
    async def crowd() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(wait)

    async def wait() -> None:
        await trio.to_thread.run_sync(may_return.wait, 60, abandon_on_cancel=True)

    try:
        with trio.fail_after(20):
            async with host(registry, settings(tmp_path, grace=0)) as running:
                await running.queue.submit("crowd")
                limiter = trio.to_thread.current_default_thread_limiter()
                while limiter.available_tokens:
                    await trio.sleep(0.001)
    finally:
        may_return.set()
    assert lines(tmp_path)[-1]["reason"] == "grace_over"
