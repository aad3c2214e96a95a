"""Short ways through a socket: each spares what Trio's own does for callers it can't know."""

import os
import socket
from contextlib import suppress

import trio

_ACCEPTED_AT_ONCE = 64


async def accept_all(listener: trio.SocketListener) -> list[trio.SocketStream]:
    """The connections that wait to be accepted, at least one. A checkpoint, always.

    Trio accepts one in a turn of the loop: where each turn serves many requests, the last of a
    crowd would wait for as many turns. Raises OSError as `trio.SocketListener.accept` does.
    """
    accepted = [await listener.accept()]
    with suppress(OSError), socket.socket(fileno=os.dup(listener.socket.fileno())) as waiting:
        while len(accepted) < _ACCEPTED_AT_ONCE:  # until accepting the next one would block
            connection, _ = waiting.accept()
            accepted.append(trio.SocketStream(trio.socket.from_stdlib_socket(connection)))
    return accepted


async def receive(stream: trio.SocketStream, max_bytes: int) -> bytes:
    """What comes next; nothing at its end. A checkpoint, always.

    Trio tries before it waits, which is in vain where a client has yet to read its last answer.
    Raises OSError or trio.BrokenResourceError where the connection is broken.
    """
    await trio.lowlevel.wait_readable(stream.socket)
    with suppress(BlockingIOError):  # "readable" may turn out to have been wrong
        return os.read(stream.socket.fileno(), max_bytes)
    return bytes(await stream.receive_some(max_bytes))


def send_now(stream: trio.SocketStream, data: bytes) -> bytes:
    """Send, without a checkpoint, what the socket has room for. Gives what is left to send."""
    with suppress(OSError):  # which sending what is left runs into again
        return data[os.write(stream.socket.fileno(), data) :]
    return data
