"""A Trio program has a service inside: one block, and all of it is there."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from job_service import Registry
from job_service.hosting import host
from job_service.settings import Settings
from job_service.web.edge.listeners import CannotListen


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
