"""Short ways through a socket, without what Trio's own do for callers that they can't know."""

import fcntl
import os
import select
import struct
import termios
from contextlib import suppress

import trio


async def receive(stream: trio.SocketStream, max_bytes: int) -> bytes:
    """What comes next; nothing at its end. Always a checkpoint.

    Trio tries to read before it waits, which is in vain if the client has yet to read its last
    answer. Raises OSError or trio.BrokenResourceError if the connection is broken.
    """
    await trio.lowlevel.wait_readable(stream.socket)
    try:
        return os.read(stream.socket.fileno(), max_bytes)
    except BlockingIOError:  # "readable" may turn out to have been wrong
        return bytes(await stream.receive_some(max_bytes))


def send_now(stream: trio.SocketStream, data: bytes | memoryview) -> bytes | memoryview:
    """Send what the socket has room for, without a checkpoint. Gives what is left to send."""
    try:
        return data[os.write(stream.socket.fileno(), data) :]
    except OSError:  # sending what is left runs into it again
        return data


def unacknowledged(stream: trio.SocketStream) -> int:
    """The bytes that the system has taken, and the client has yet to receive.

    They show that a client reads long before the system takes more: for that, a third of what the
    system keeps must have gone, and it may keep megabytes.
    """
    with suppress(OSError):
        return int(
            struct.unpack("i", fcntl.ioctl(stream.socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        )
    return 0


def has_left(stream: trio.SocketStream) -> bool:
    """Whether the client has closed its end, even if what it sent before is not read yet."""
    return _is_so(stream, select.POLLRDHUP)


def is_broken(stream: trio.SocketStream) -> bool:
    """Whether the connection was reset, or both ends are closed."""
    return _is_so(stream, 0)  # poll reports that even if it is not asked for


def _is_so(stream: trio.SocketStream, events: int) -> bool:
    poll = select.poll()
    poll.register(stream.socket.fileno(), events)
    return bool(poll.poll(0))
