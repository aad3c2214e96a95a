"""The end of the HTTP edge: in order for who waits for an answer, in time whoever holds on."""

from contextlib import AsyncExitStack

import pytest
import trio

from job_service.web.edge import server
from tests.web.conftest import Serve
from tests.web.wire import Served, Stage, request

HOLDS = {
    "says nothing": b"",
    "half a header": b"GET /hello HTTP/1.1\r\nHos",
    "half a body": request("/upload", "Content-Length: 10", method="POST") + b"half",
    "half a chunked body": request("/upload", "Transfer-Encoding: chunked", method="POST") + b"5\r",
    "never reads": request("/flood"),
    "waits for a handler that hangs": request("/slow"),
    "waits for two": request("/slow") + request("/slow"),
}
AT_ONCE = ["says nothing", "half a header"]


async def close(served: Served, within_seconds: float) -> None:
    """Close the server, which must not take longer."""
    with trio.fail_after(within_seconds):
        await served.server.close()


async def until_served(served: Served, connections: int) -> None:
    """Wait until the server has so many connections, and its tasks have nothing to do."""
    with trio.fail_after(5):
        while len(served.server._connections) < connections:
            await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked(0.01)


@pytest.mark.parametrize("hold", AT_ONCE)
async def test_idle_connections_close_at_once(serve: Serve, hold: str) -> None:
    """Who has not asked for anything holds nothing up, on a fresh or on a used connection."""
    served = await serve(Stage())
    async with served.connect() as fresh, served.connect() as used:
        assert (await used.ask("/hello")).status == 200
        await fresh.send(HOLDS[hold])
        await used.send(HOLDS[hold])
        await until_served(served, 2)
        await close(served, within_seconds=1)
        assert await fresh.until_closed() == b""
        assert await used.until_closed() == b""


async def test_a_request_in_flight_is_answered(serve: Serve, nursery: trio.Nursery) -> None:
    """Who waits for an answer when the server closes gets it, and then the connection ends."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as waiting:
        await waiting.send(request("/slow"))
        with trio.fail_after(5):
            await stage.entered.wait()
        nursery.start_soon(close, served, server.CLOSE_SECONDS)
        await trio.testing.wait_all_tasks_blocked(0.01)
        stage.release.set()
        assert (await waiting.answer()).body == b"at last"
        assert await waiting.until_closed() == b""
    await close(served, within_seconds=1)


async def test_a_body_that_is_on_its_way_is_taken(serve: Serve, nursery: trio.Nursery) -> None:
    """Who is in the middle of an upload may finish it and gets its answer."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as uploading:
        await uploading.send(HOLDS["half a body"])
        await until_served(served, 1)
        nursery.start_soon(close, served, server.CLOSE_SECONDS)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await uploading.send(b" again")
        assert (await uploading.answer()).body == b"thank you"
        assert await uploading.until_closed() == b""


@pytest.mark.parametrize("holds", [*([hold] for hold in HOLDS), list(HOLDS)], ids=[*HOLDS, "all"])
async def test_nobody_can_keep_the_server_from_closing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, holds: list[str]
) -> None:
    """Whatever clients and handlers do, all is over within CLOSE_SECONDS."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    stage = Stage()
    served = await serve(stage)
    async with AsyncExitStack() as clients:
        wires = [await clients.enter_async_context(served.connect()) for _ in holds]
        for wire, hold in zip(wires, holds, strict=True):
            await wire.send(HOLDS[hold])
        await until_served(served, len(wires))
        assert stage.entered.is_set() == (not set(holds) <= {*AT_ONCE, "half a body"})
        await close(served, within_seconds=1)
        for wire in wires:
            await wire.until_closed()
    assert served.record.events == []


async def test_a_handler_that_errs_while_it_is_cut_off_ends_nothing_else(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that falls over when its time is up can't crash the edge, nor keep it from ending."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.1)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/grudge"))
        with trio.fail_after(5):
            await stage.entered.wait()
        await close(served, within_seconds=1)


async def test_a_client_that_keeps_its_end_open_holds_nobody_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last answer is out; that its client does not hang up delays the end by no more."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/hello", "Connection: close"))
        assert (await wire.answer()).body == b"hello"
        await close(served, within_seconds=1)


async def test_a_closed_server_takes_no_connection(serve: Serve) -> None:
    """Once the server closes, new clients are refused at the door."""
    served = await serve(Stage())
    await close(served, within_seconds=1)
    with pytest.raises(OSError, match="connect"):
        async with served.connect():
            pass


async def test_closing_again_changes_nothing(serve: Serve) -> None:
    """close() may be called by as many as like to: all return when the server is closed."""
    served = await serve(Stage())
    async with trio.open_nursery() as closers:
        for _ in range(3):
            closers.start_soon(close, served, 1)
    await close(served, within_seconds=1)
