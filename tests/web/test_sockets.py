"""The short ways through a socket lead to the same end as Trio's own."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio

from service.web.edge.sockets import receive, send_now

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
    """As where somebody else has read what was there."""
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
