"""Short ways through a socket: each spares what Trio's own does for callers it can't know."""

import fcntl
import os
import select
import struct
import termios
from contextlib import suppress

import trio


async def receive(stream: trio.SocketStream, max_bytes: int) -> bytes:
    """What comes next; nothing at its end. A checkpoint, always.

    Trio tries before it waits, which is in vain where a client has yet to read its last answer.
    Raises OSError or trio.BrokenResourceError where the connection is broken.
    """
    await trio.lowlevel.wait_readable(stream.socket)
    with suppress(BlockingIOError):  # "readable" may turn out to have been wrong
        return os.read(stream.socket.fileno(), max_bytes)
    return bytes(await stream.receive_some(max_bytes))


def send_now(stream: trio.SocketStream, data: bytes | memoryview) -> bytes | memoryview:
    """Send, without a checkpoint, what the socket has room for. Gives what is left to send."""
    with suppress(OSError):  # which sending what is left runs into again
        return data[os.write(stream.socket.fileno(), data) :]
    return data


def unacknowledged(stream: trio.SocketStream) -> int:
    """The bytes that the system has taken and the client has yet to.

    They tell of a client that reads long before the system takes more: for that, a third of what it
    keeps, which may be a megabyte, must have gone.
    """
    with suppress(OSError):
        return int(
            struct.unpack("i", fcntl.ioctl(stream.socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        )
    return 0


def has_left(stream: trio.SocketStream) -> bool:
    """Whether the client has closed its end, which reading tells only behind all that it sent."""
    return _is_so(stream, select.POLLRDHUP)


def is_broken(stream: trio.SocketStream) -> bool:
    """Whether the connection was reset, or both ends are closed."""
    return _is_so(stream, 0)  # which is told without being asked for


def _is_so(stream: trio.SocketStream, events: int) -> bool:
    poll = select.poll()
    poll.register(stream.socket.fileno(), events)
    return bool(poll.poll(0))
