"""The short ways through a socket lead to the same end as Trio's own."""

import socket
import struct
from collections.abc import AsyncIterator

import pytest
import trio

from job_service.web.edge.listeners import listen_on_port
from job_service.web.edge.sockets import has_left, is_broken, receive, send_now

Pair = tuple[trio.SocketStream, trio.SocketStream]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Both ends of a connection."""
    ours, theirs = (
        trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair()
    )
    async with ours, theirs:
        yield ours, theirs


async def test_what_is_sent_is_received_up_to_its_end(pair: Pair) -> None:
    """In pieces of the size asked for, others having their turn before each."""
    ours, theirs = pair
    assert send_now(theirs, b"hello") == b""
    await theirs.send_eof()
    for piece in (b"hel", b"lo", b""):
        with trio.testing.assert_checkpoints():
            assert await receive(ours, 3) == piece


async def test_a_socket_that_was_not_readable_after_all_is_waited_for(
    pair: Pair, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody else had read what was there."""
    ours, theirs = pair

    async def find_readable(_: object) -> None:
        await trio.lowlevel.checkpoint()

    async def send_later() -> None:
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"hello")

    with monkeypatch.context() as patch:
        patch.setattr(trio.lowlevel, "wait_readable", find_readable)
        nursery.start_soon(send_later)
        assert await receive(ours, 10) == b"hello"


async def test_what_a_socket_has_no_room_for_is_left(pair: Pair) -> None:
    """Nothing is lost and nothing is sent twice."""
    ours, theirs = pair
    data = bytes(range(256)) * 10_000
    with trio.testing.assert_no_checkpoints():
        left = send_now(theirs, data)
        assert send_now(theirs, left) == left
    assert 0 < len(left) < len(data)
    received = b""
    while len(received) < len(data) - len(left):
        received += await receive(ours, 65_536)
    assert received + left == data


async def test_what_a_closed_socket_does_not_take_is_left(pair: Pair) -> None:
    """It is for who sends the rest to say why."""
    ours, theirs = pair
    await ours.aclose()
    assert send_now(theirs, b"hello") == b"hello"
    assert send_now(ours, b"hello") == b"hello"


async def test_that_a_client_has_left_is_known_before_all_is_read() -> None:
    """And whether it has only closed its half, or has gone for good."""
    (listener,) = await listen_on_port("127.0.0.1", 0)
    async with listener:
        client = socket.create_connection(listener.socket.getsockname())
        (stream,) = await listener.accept()
        client.sendall(b"unread")
        assert (has_left(stream), is_broken(stream)) == (False, False)
        client.shutdown(socket.SHUT_WR)
        assert (has_left(stream), is_broken(stream)) == (True, False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert (has_left(stream), is_broken(stream)) == (True, True)
        await stream.aclose()


async def test_a_crowd_of_clients_is_let_in_at_once(nursery: trio.Nursery) -> None:
    """All that wait are accepted together, each with its own connection, and so are later ones."""
    (listener,) = await listen_on_port("127.0.0.1", 0)
    async with listener:
        address = listener.socket.getsockname()
        for number in (30, 1):
            clients = [socket.create_connection(address) for _ in range(number)]
            with trio.testing.assert_checkpoints(), trio.fail_after(10):
                streams = await listener.accept()
            theirs = {stream.socket.getpeername() for stream in streams}
            assert theirs == {client.getsockname() for client in clients}
            for stream, client in zip(streams, clients, strict=True):
                await stream.aclose()
                assert client.recv(1) == b""
                client.close()
        with trio.move_on_after(0.1) as waiting:
            await listener.accept()
        assert waiting.cancelled_caught, "it waits where nobody does"
