"""One client's connection: its socket, its deadlines, and what it is owed."""

import math
import ssl
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, TaskGroup
from hypercorn.utils import parse_socket_addr

from job_service.web.edge.handshake import shake_hands
from job_service.web.edge.http1 import HTTP1, MAX_UNREAD_BYTES, SendEvent
from job_service.web.edge.sockets import has_left, is_broken, receive, send_now, unacknowledged
from job_service.web.edge.tasks import RequestTask
from job_service.web.edge.unsent import Unsent

HANDSHAKE_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
HALF_CLOSED_SECONDS = 10.0
BODY_SECONDS = 60.0
SEND_SECONDS = 15.0
LINGER_SECONDS = 2.0
LOOK_SECONDS = 1.0

_SEND_BYTES = 64 * 1024

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Address = tuple[str, int] | None
Piece = bytes | memoryview


class Connection:
    """Serves the requests of one client until either side has enough.

    It is to be closed after KEEP_ALIVE_SECONDS without a complete request head, when the body of a
    request takes longer than BODY_SECONDS, and when the client takes longer than SEND_SECONDS to
    read a piece of what is sent to it. These deadlines are plain numbers that the server looks at
    from time to time: timers would cost each request a tenth of its time.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        unsent: Unsent,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.client = "unknown"
        self.read_at = math.inf
        self._socket_stream = stream
        self._stream: Stream = stream
        self._app = app
        self._config = config
        self._context = context
        self._unsent = unsent
        self._tls = tls
        self._idle = True
        self._closed_by_us = False
        self._farewell = b""
        self._shaking_hands = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._waiting = trio.CancelScope()  # within it, for the client or for `go_on`
        self._read_by = math.inf
        self._unacknowledged = 0
        self._half_closed = False
        self._overdue = False
        self._sending = trio.Lock()

    async def run(self) -> None:
        """Serve until the connection is closed. Errors of the socket end it quietly.

        Raises HandshakeFailed.
        """
        socket = self._socket_stream.socket
        async with self._socket_stream:
            try:
                client = parse_socket_addr(socket.family, socket.getpeername())
                server = parse_socket_addr(socket.family, socket.getsockname())
            except OSError:  # gone before it was served
                return
            self.client = f"{client[0]}:{client[1]}" if client else "unix"
            if self._tls is not None:
                await self._shake_hands(self._tls)
                if self._stream is self._socket_stream:  # nothing was agreed upon
                    return
            await self._serve(client, server)
            if self._closed_by_us:
                await linger(self._socket_stream)

    @property
    def descriptor(self) -> int:
        """That of its socket; below 0 once it is closed."""
        return self._socket_stream.socket.fileno()

    def close_if_idle(self) -> None:
        """Close the connection unless it owes an answer."""
        if self._idle:
            self._shaking_hands.cancel()
            self._reading.cancel()

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if its client has let a deadline pass. To be called every second."""
        if self.read_at < math.inf:
            self._see_whether_it_reads(now)
        if now >= min(self._read_by, self.read_at + SEND_SECONDS):
            self._overdue = True
            self._reading.cancel()

    def cut_off(self) -> None:
        """Close the connection, whatever it owes."""
        self._stop_reading()

    async def send(self, head: bytes, body: bytes, *, is_last: bool) -> None:
        """Send both; without a checkpoint where the socket takes all and it is the last.

        The body is not copied: it waits as it is.
        """
        try:
            self._sending.acquire_nowait()  # spares the checkpoint
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            pieces = _in_pieces(head, body)
            if left := self._send_what_fits(pieces):
                await self._send_as_it_is_read(chain([left], pieces), len(body))
            elif not is_last:
                await trio.lowlevel.checkpoint()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            await trio.lowlevel.checkpoint()  # or who sends on and on would never be cancelled
        finally:
            self._sending.release()

    def has_room(self, size: int) -> bool:
        """Whether an answer of this size may wait until it is read."""
        return self._unsent.has_room(size)

    def set_idle(self, is_idle: bool) -> None:
        """Note whether an answer is owed."""
        self._idle = is_idle
        self._read_by = trio.current_time() + KEEP_ALIVE_SECONDS if is_idle else math.inf
        if is_idle and self._context.terminated.is_set():
            self._reading.cancel()

    def expect_body(self, is_expected: bool) -> None:
        """Note whether the client is to send more of a body."""
        if self._half_closed:  # a deadline of its own
            return
        if not is_expected:
            self._read_by = math.inf
        elif self._read_by == math.inf:
            self._read_by = trio.current_time() + BODY_SECONDS

    def go_on(self) -> None:
        """Have the reading task see to what it left for later."""
        self._waiting.cancel()

    def close(self, farewell: bytes = b"") -> None:
        """Read no more, and end when all is sent, and this after it."""
        self._closed_by_us = True
        self._farewell = farewell
        self._stop_reading()

    def _stop_reading(self) -> None:
        # Not from here: a Cancelled is made at once, and would keep all that is on this stack, such
        # as the body of a refused answer, until the task that it is for has its turn.
        trio.lowlevel.current_trio_token().run_sync_soon(self._reading.cancel)

    async def _shake_hands(self, tls: ssl.SSLContext) -> None:
        """Go on inside TLS, if it is agreed upon in time. Raises HandshakeFailed."""
        self._shaking_hands.deadline = trio.current_time() + HANDSHAKE_SECONDS
        with self._shaking_hands:
            self._stream = await shake_hands(self._socket_stream, tls) or self._socket_stream

    async def _serve(self, client: Address, server: Address) -> None:
        def open_stream(task: RequestTask, send: SendEvent, stream_id: int) -> HTTPStream:
            place = self._tls is not None, client, server
            what = self._app, self._config, self._context
            tasks = cast("TaskGroup", task)  # a stream neither enters nor leaves it
            return HTTPStream(*what, tasks, *place, send, stream_id)

        async with trio.open_nursery() as nursery:
            http = HTTP1(
                self,
                nursery,
                open_stream,
                answer_headers=partial(self._config.response_headers, "h11"),
                is_closing=self._context.terminated.is_set,
            )
            with self._reading:
                self.set_idle(True)
                while await self._read(http):
                    pass
                await self._finish(http)
            if self._overdue:
                http.time_out()
            if self._farewell:
                with trio.move_on_after(LINGER_SECONDS):
                    await self.send(self._farewell, b"", is_last=True)
            nursery.cancel_scope.cancel()

    async def _read(self, http: HTTP1) -> bool:
        """Take what the client sends next, or go on with what it has sent; whether more may come.

        It is read even where it can't be answered yet: else nobody would see that it has gone.
        """
        data: bytes | None = None
        with trio.CancelScope() as self._waiting:
            if http.room:
                data = await self._receive(http.room)
            else:
                await self._watch(http)
        if self._reading.cancel_called:
            return False
        if data is None:
            await http.go_on()
        else:
            await http.receive(data)
        return data != b""

    async def _watch(self, http: HTTP1) -> None:
        """Wait for `go_on`, and have an eye on whether the client is still there."""
        while not has_left(self._socket_stream):  # noqa: ASYNC110  # which nothing tells
            await trio.sleep(LOOK_SECONDS)
        if is_broken(self._socket_stream):
            self._reading.cancel()
        await self._wait_half_closed(http)

    async def _finish(self, http: HTTP1) -> None:
        """Answer what is left to answer, where the client sends no more."""
        while not (self._idle or http.is_streaming or self._reading.cancel_called):
            with trio.CancelScope() as self._waiting:
                await self._wait_half_closed(http)
            await http.go_on()

    async def _wait_half_closed(self, http: HTTP1) -> None:
        """Wait for `go_on`, for HALF_CLOSED_SECONDS at most.

        The client may have closed only its half, and still wait for its answer; but it looks the
        same when it has gone. Who leaves a stream has gone: it would never end.
        """
        self._half_closed = True
        self._read_by = trio.current_time() + HALF_CLOSED_SECONDS
        if http.is_streaming:
            self._reading.cancel()
        await trio.sleep_forever()

    async def _receive(self, max_bytes: int) -> bytes:
        """What the client sends next; nothing where it sends no more."""
        try:
            if self._stream is self._socket_stream:
                data = await receive(self._socket_stream, max_bytes)
            else:
                data = bytes(await self._stream.receive_some(max_bytes))
            return b"" if self._reading.cancel_called else data  # too late: it is being closed
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            return b""

    def _send_what_fits(self, pieces: Iterator[Piece]) -> Piece:
        """Send what the socket has room for. Gives what is left of the first piece that is."""
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

    def _see_whether_it_reads(self, now: float) -> None:
        left = unacknowledged(self._socket_stream)
        if left < self._unacknowledged:
            self.read_at = now
        self._unacknowledged = left


async def linger(stream: trio.SocketStream) -> None:
    """Let the client finish before the socket is closed, for LINGER_SECONDS at most.

    Closing a socket with unread data in it resets the connection, and the reset may overtake the
    answer (RFC 9112, section 9.6).
    """
    with trio.move_on_after(LINGER_SECONDS):
        try:
            await stream.send_eof()
            while await stream.receive_some(MAX_UNREAD_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def _in_pieces(head: bytes, body: bytes) -> Iterator[Piece]:
    """Both, of which only the beginning is copied: they leave in one packet where they can."""
    yield head + body[:_SEND_BYTES]
    rest = memoryview(body)
    for start in range(_SEND_BYTES, len(body), _SEND_BYTES):
        yield rest[start : start + _SEND_BYTES]
