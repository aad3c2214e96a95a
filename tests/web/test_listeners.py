"""What the service listens on: all addresses of a host, without a trace in its process."""

import errno
import fcntl
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from job_service.errors import CannotListen
from job_service.web.edge.listeners import Listener, listen_on_path, listen_on_port
from job_service.web.edge.server import Server
from tests.conftest import Record
from tests.web.conftest import Serve
from tests.web.wire import Stage, plain_post, request

HAS_IPV6 = socket.has_dualstack_ipv6()


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_all_of_ipv6_is_all_of_ipv4_too(address: str) -> None:
    """`--host ::` is for every client, whichever it speaks."""
    (listener,) = await listen_on_port("::", 0)
    async with listener:
        assert listener.url("http").startswith("http://[::]:")
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream(address, port) as client:
            (stream,) = await listener.accept()
            await stream.send_all(b"x")
            assert await client.receive_some() == b"x"
            await stream.aclose()


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
async def test_one_address_is_one_address() -> None:
    """That of this machine in IPv6 is not that in IPv4."""
    (listener,) = await listen_on_port("::1", 0)
    async with listener:
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])


async def test_a_name_is_one_port() -> None:
    """Whichever of its addresses a client takes."""
    listeners = await listen_on_port("localhost", 0)
    assert len({listener.socket.getsockname()[1] for listener in listeners}) == 1
    for listener in listeners:
        await listener.aclose()


async def test_what_is_taken_is_told(nursery: trio.Nursery) -> None:
    """In one line, and nothing is left open."""
    (listener,) = await listen_on_port("127.0.0.1", 0)
    async with listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port}: Address already in use"):
            await listen_on_port("127.0.0.1", port)


async def test_a_port_for_root_only_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what anybody may have instead."""

    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(CannotListen, match="Permission denied; choose a --port of 1024 or more"):
        await listen_on_port("127.0.0.1", 80)


@pytest.fixture
def impatient() -> Iterator[None]:
    """A program that has set a timeout for all its sockets, as some do."""
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(None)


async def test_a_default_timeout_of_the_program_holds_nothing_up(
    impatient: None, serve: Serve, nursery: trio.Nursery
) -> None:
    """The loop never waits in a socket: not to accept, to receive or to send."""
    stage = Stage()
    served = await serve(stage)
    assert served.server is not None
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    nursery.start_soon(count)
    with trio.fail_after(4):
        async with served.connect() as idle, served.connect() as wire:
            await wire.send(plain_post("/hello"))
            assert (await wire.answer()).body == b"hello"
            assert (await wire.ask("/hello")).body == b"hello"
            await idle.send(request("/flood"))
            await stage.entered.wait()
            assert (await wire.ask("/hello")).body == b"hello"
    assert turns > 10
    nursery.cancel_scope.cancel()


async def test_a_unix_socket_is_its_owners_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads of the program may be making files just now."""
    path = tmp_path / "socket"
    with monkeypatch.context() as patch:
        patch.setattr(os, "umask", None)
        (listener,) = await listen_on_path(str(path))
    async with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_unix_socket_whose_listener_is_busy_is_not_taken(tmp_path: Path) -> None:
    """It is alive, though it has no time for a probe, and that is found out at once."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(CannotListen, match="Address already in use"):
            await listen_on_path(str(path))


async def test_only_one_of_those_that_find_a_stale_socket_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others start at the same moment, and say that it is in use."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    at_once, has_won = threading.Barrier(2), threading.Event()
    listening: list[Listener] = []
    refusals: list[str] = []
    unlink = Path.unlink

    def unlink_late(path: Path) -> None:
        with suppress(threading.BrokenBarrierError):
            if at_once.wait(0.5) == 1:  # the other one wants to remove it as well, and is quicker
                has_won.wait(5)
        unlink(path)

    def start() -> None:
        try:
            listening.extend(trio.run(listen_on_path, str(path)))
            has_won.set()
        except CannotListen as error:
            refusals.append(str(error))

    monkeypatch.setattr(Path, "unlink", unlink_late)
    async with trio.open_nursery() as side_by_side:
        for _ in range(2):
            side_by_side.start_soon(trio.to_thread.run_sync, start)
    assert refusals == [f"can't listen on {path}: Address already in use"]
    (listener,) = listening
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.socket.close()


async def test_a_lock_of_another_program_keeps_no_socket_from_being_made(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A service that starts would hold it for a moment only."""
    directory = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    (listener,) = await listen_on_path(str(tmp_path / "socket"))
    async with listener:
        os.close(directory)


async def test_a_server_with_several_listeners_serves_them_all(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """TCP and a Unix socket, say."""
    path = str(tmp_path / "socket")
    listeners = [*await listen_on_port("127.0.0.1", 0), *await listen_on_path(path)]
    server = Server(Stage(), Record().observe, max_connections=10)
    await nursery.start(server.serve, listeners)
    port = listeners[0].socket.getsockname()[1]
    for stream in (
        await trio.open_tcp_stream("127.0.0.1", port),
        await trio.open_unix_socket(path),
    ):
        async with stream:
            await stream.send_all(request("/hello", "Connection: close"))
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
    await server.close()
