"""Sends what one client is owed, and notices when the client stops reading."""

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import trio

from job_service.web.edge.sockets import send_now, unacknowledged
from job_service.web.edge.unsent import Unsent

SEND_SECONDS = 15.0

_PIECE_BYTES = 64 * 1024

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Piece = bytes | memoryview


class Sender:
    """The sending half of a connection, which ends when the scope `reading` is cancelled.

    A client may take SEND_SECONDS to read the next piece of what is sent to it.
    """

    def __init__(
        self, stream: trio.SocketStream, unsent: Unsent, reading: trio.CancelScope
    ) -> None:
        self.client = "unknown"
        self.read_at = math.inf  # while nothing waits to be read
        self._socket_stream = stream
        self._stream: Stream = stream
        self._unsent = unsent
        self._reading = reading
        self._unacknowledged = 0
        self._turn = trio.Lock()

    def secure(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        """Send inside TLS from now on."""
        self._stream = stream

    async def send(self, head: bytes, body: bytes, *, is_last: bool) -> None:
        """Send both. No checkpoint if the socket takes everything and `is_last`.

        The body is not copied while it waits. If the connection is broken, it ends.
        """
        try:
            self._turn.acquire_nowait()  # spares the checkpoint
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            pieces = _in_pieces(head, body)
            if left := self._send_what_fits(pieces):
                await self._send_as_it_is_read(chain([left], pieces), len(body))
            elif not is_last:
                await trio.lowlevel.checkpoint()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            await trio.lowlevel.checkpoint()  # else an answer without end is never cancelled
        finally:
            self._turn.release()

    def cut_off(self) -> None:
        """End the connection, whatever it owes."""
        cancel_soon(self._reading)

    def is_overdue(self, now: float) -> bool:
        """Whether the client has read nothing for too long. To be asked every second."""
        if self.read_at == math.inf:
            return False
        left = unacknowledged(self._socket_stream)
        if left < self._unacknowledged:
            self.read_at = now
        self._unacknowledged = left
        return now >= self.read_at + SEND_SECONDS

    def _send_what_fits(self, pieces: Iterator[Piece]) -> Piece:
        """Send what the socket has room for. Gives the rest of the first piece that has one."""
        for piece in pieces:
            if self._stream is not self._socket_stream:  # TLS can't tell
                return piece
            if left := send_now(self._socket_stream, piece):
                return left
        return b""

    async def _send_as_it_is_read(self, pieces: Iterable[Piece], size: int) -> None:
        self._unsent.hold(self, size)
        try:
            for piece in pieces:
                self.read_at = trio.current_time()
                self._unacknowledged = unacknowledged(self._socket_stream)
                await self._stream.send_all(piece)
        finally:
            self.read_at = math.inf
            self._unsent.release(self)


def cancel_soon(scope: trio.CancelScope) -> None:
    """Cancel it in a moment, from another stack.

    A Cancelled is made at once and keeps everything on the stack, such as the body of a refused
    answer, until the cancelled task has its turn.
    """
    trio.lowlevel.current_trio_token().run_sync_soon(scope.cancel)


def _in_pieces(head: bytes, body: bytes) -> Iterator[Piece]:
    """Both. Only the beginning of the body is copied, to leave in one packet with the head."""
    yield head + body[:_PIECE_BYTES]
    rest = memoryview(body)
    for start in range(_PIECE_BYTES, len(body), _PIECE_BYTES):
        yield rest[start : start + _PIECE_BYTES]
