"""More connections than may be: who is turned away, how, and that it is counted."""

import socket
from contextlib import AsyncExitStack

import pytest
import trio

from job_service.telemetry.counting import Metrics
from job_service.telemetry.events import ConnectionFailed, ConnectionRefused
from job_service.web.edge import connection, descriptors, server
from job_service.web.edge.listeners import Listener
from job_service.web.edge.tls import Keys
from tests.certificates import Certificate
from tests.web.api import check_problem
from tests.web.conftest import Serve
from tests.web.wire import PATIENCE_SECONDS, Served, Stage, Wire, open_tls, request


async def settle(served: Served, connections: int) -> None:
    """Wait until the server has so many connections."""
    with trio.fail_after(PATIENCE_SECONDS):
        while len(served.server._connections) != connections:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("asks", [True, False])
async def test_who_comes_too_late_is_told_so(serve: Serve, asks: bool) -> None:
    """A 503 as a problem, with Retry-After, whether or not anything was asked; then it is over."""
    served = await serve(Stage(), max_connections=2)
    async with served.connect() as first, served.connect():
        await settle(served, 2)
        async with served.connect() as late:
            if asks:
                await late.send(request("/hello"))
            answer = await late.answer()
            check_problem(answer, 503)
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Connection"] == "close"
            assert await late.until_closed() == b""
        assert (await first.ask("/hello")).status == 200
    assert sorted(set(served.record.names())) == ["connection_failed", "connection_refused"]


async def test_a_place_that_is_given_up_is_free(serve: Serve) -> None:
    """The limit is about connections that are open, however many have been."""
    served = await serve(Stage(), max_connections=1)
    for _ in range(5):
        async with served.connect() as wire:
            assert (await wire.ask("/hello")).status == 200
        await settle(served, 0)
    assert served.record.events == []


async def test_a_connection_that_fails_gives_up_its_place(serve: Serve) -> None:
    """A crash leaks no place."""
    served = await serve(Stage(), max_connections=1)
    for _ in range(3):
        async with served.connect() as wire:
            await wire.send(request("/crash"))
            await wire.until_closed()
        await settle(served, 0)
    async with served.connect() as wire:
        assert (await wire.ask("/hello")).status == 200


async def test_each_refusal_is_counted_and_few_are_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood is one line a second, and every single connection of it is in the metric."""
    monkeypatch.setattr(server, "FAILURE_LINE_SECONDS", 3_600.0)
    metrics = Metrics(queue_capacity=1)
    served = await serve(Stage(), max_connections=1)
    async with served.connect():
        await settle(served, 1)
        for _ in range(20):
            async with served.connect() as late:
                assert (await late.ask("/hello")).status == 503
    (line,) = served.record.of(ConnectionFailed)
    assert line.error == "refused, too many connections: all 1 are in use"
    for event in served.record.of(ConnectionRefused):
        assert not event.logged
        metrics.observe(event)
    assert metrics.snapshot().connections_refused == 20


async def test_in_a_flood_the_late_are_just_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusing costs something, too: beyond MAX_REFUSALS at a time there is no answer."""
    monkeypatch.setattr(server, "MAX_REFUSALS", 3)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60)
    served = await serve(Stage(), max_connections=1)
    async with AsyncExitStack() as clients:
        kept = await clients.enter_async_context(served.connect())
        await settle(served, 1)
        late = [await clients.enter_async_context(served.connect()) for _ in range(10)]
        told = [await wire.until_closed() for wire in late]
        assert sum(b" 503 " in answer for answer in told) == 3
        assert told.count(b"") == 7
        assert (await kept.ask("/hello")).status == 200
    await settle(served, 0)
    async with served.connect() as wire:
        assert (await wire.ask("/hello")).status == 200


async def test_over_tls_the_late_are_just_closed(serve: Serve, certificate: Certificate) -> None:
    """There is nothing to be said before a handshake, and a handshake would cost too much."""
    keys = Keys(str(certificate.certfile), str(certificate.keyfile))
    served = await serve(Stage(), max_connections=1, keys=keys)
    async with await open_tls(served.port, certificate.trust()) as stream:
        for _ in range(3):
            async with served.connect() as late:
                assert await late.until_closed() == b""
        assert (await Wire(stream).ask("/hello")).status == 200
    assert len(served.record.of(ConnectionRefused)) == 3


async def test_connections_leave_descriptors_to_jobs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the last ones are taken, clients are turned away, and told what is the matter."""
    served = await serve(Stage(), max_connections=10_000)
    with socket.socket() as lowest:
        limit = lowest.fileno() + 40
    monkeypatch.setattr(descriptors, "_limit", lambda: limit)
    async with AsyncExitStack() as clients:
        opened = 0
        while not (refused := served.record.of(ConnectionRefused)):
            wire = await clients.enter_async_context(served.connect())
            opened += 1
            while len(served.server._connections) + len(refused) < opened:
                await trio.lowlevel.checkpoint()
                refused = served.record.of(ConnectionRefused)
        check_problem(await wire.answer(), 503)
        for _ in range(descriptors.reserve() - 2):  # one is the client's, one was refused
            assert clients.enter_context(socket.socket()).fileno() < limit
    (line,) = served.record.of(ConnectionFailed)
    assert "descriptors are left, and jobs need those; see ulimit -n" in line.error


@pytest.mark.parametrize("limit", [16, 256, 1_024, 1_000_000])
def test_the_reserve_leaves_most_to_connections(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """However few descriptors the system grants."""
    monkeypatch.setattr(descriptors, "_limit", lambda: limit)
    assert 0 < descriptors.reserve() <= limit / 4
    assert descriptors.leaves_reserve(limit - descriptors.reserve() - 1)
    assert not descriptors.leaves_reserve(limit - descriptors.reserve())


@pytest.mark.parametrize("goodbye", ["stays", "resets", "talks on"])
async def test_the_late_hold_nothing_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, goodbye: str
) -> None:
    """Whatever a refused client does, it is forgotten, and the server closes in time."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    served = await serve(Stage(), max_connections=1)
    async with served.connect() as kept, served.connect() as late:
        await settle(served, 1)
        if goodbye == "resets":
            late.reset_when_closed()
            await late._stream.aclose()
        elif goodbye == "talks on":
            await late.send(bytes(1_000_000))
        assert (await kept.ask("/hello")).status == 200
        with trio.fail_after(1):
            await served.server.close()
    assert set(served.record.names()) == {"connection_failed", "connection_refused"}


async def test_a_listener_that_errs_is_asked_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors, say: it is told, and as soon as it passes clients are served."""
    monkeypatch.setattr(server, "ACCEPT_PAUSE_SECONDS", 0.01)
    accept = Listener.accept
    errors = [OSError(24, "Too many open files")] * 5

    async def fail(listener: Listener) -> list[trio.SocketStream]:
        if errors:
            raise errors.pop()
        return await accept(listener)

    monkeypatch.setattr(Listener, "accept", fail)
    served = await serve(Stage())
    async with served.connect() as wire:
        assert (await wire.ask("/hello")).status == 200
    (event,) = served.record.events
    assert isinstance(event, ConnectionFailed)
    assert "Too many open files" in event.error


async def test_when_the_server_closes_answers_say_that_they_are_the_last(
    serve: Serve, nursery: trio.Nursery
) -> None:
    """Connection: close on the answers to requests in flight, so that nobody asks again."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow") + request("/hello"))
        with trio.fail_after(PATIENCE_SECONDS):
            await stage.entered.wait()
        nursery.start_soon(served.server.close)
        await trio.testing.wait_all_tasks_blocked(0.01)
        stage.release.set()
        last = await wire.answer()
        assert last.body == b"at last"
        assert last.headers["Connection"] == "close"
        assert await wire.until_closed() == b""
