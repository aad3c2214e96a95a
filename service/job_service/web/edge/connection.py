"""One client's connection: Hypercorn's protocols between a socket and the app."""

import math
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from job_service.web.edge.handshake import shake_hands
from job_service.web.edge.http1 import HTTP1, LastPiece, ResponseHead
from job_service.web.edge.http2 import HTTP2, SEND_SECONDS
from job_service.web.edge.sockets import receive, send_now
from job_service.web.edge.tasks import BODY_SECONDS, RequestTasks, StreamTasks

HANDSHAKE_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
HALF_CLOSED_SECONDS = 10.0
LINGER_SECONDS = 2.0

_RECEIVE_BYTES = 64 * 1024
_SEND_BYTES = 256 * 1024

Addresses = tuple[tuple[str, int] | None, tuple[str, int] | None]  # the client's, and our own


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
        tls: ssl.SSLContext | None,
    ) -> None:
        self.client = "unknown"
        self._socket_stream = stream
        self._stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        self._app = app
        self._config = config
        self._context = context
        self._tls = tls
        self._idle = True
        self._closed_by_us = False
        self._shaking_hands = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._read_by = math.inf
        self._sent_by = math.inf
        self._overdue = False
        self._sending = trio.Lock()
        self._unsent = b""
        self._buffered = bytearray()
        self._buffer_changed = trio.lowlevel.ParkingLot()

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
            protocol: str | None = "http/1.1"
            if self._tls is not None:
                protocol = await self._shake_hands(self._tls)
            async with self._stream:
                if protocol == "h2":
                    await self._serve_http2((client, server))
                elif protocol is not None:
                    await self._serve_http1((client, server))
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
        """Close the connection if its client has let a deadline pass."""
        if now >= min(self._read_by, self._sent_by):
            self._overdue = True
            self._reading.cancel()

    async def _shake_hands(self, tls: ssl.SSLContext) -> str | None:
        """The protocol agreed upon; None where nothing was. Raises HandshakeFailed."""
        self._shaking_hands.deadline = trio.current_time() + HANDSHAKE_SECONDS
        with self._shaking_hands:
            if stream := await shake_hands(self._socket_stream, tls):
                self._stream = stream
                return stream.selected_alpn_protocol() or "http/1.1"
        return None

    async def _serve_http1(self, addresses: Addresses) -> None:
        async with RequestTasks() as tasks:
            protocol = HTTP1(*self._parties(tasks, addresses, self._send))
            with self._reading:
                self._set_idle(True)
                while data := await self._receive():
                    await protocol.handle(RawData(data))
                    if not self._idle:
                        self._expect_body(protocol.awaits_body)
                await protocol.handle(RawData(b""))
                if not self._idle and not protocol.is_streaming:
                    # It may have closed only its half, and still wait for its answer; but it looks
                    # the same when it has gone. Who leaves a stream has gone: it would never end.
                    self._read_by = trio.current_time() + HALF_CLOSED_SECONDS
                    await trio.sleep_forever()
            if self._overdue:
                with trio.move_on_after(LINGER_SECONDS):
                    await protocol.time_out()
            await protocol.handle(Closed())

    async def _serve_http2(self, addresses: Addresses) -> None:
        async with StreamTasks() as tasks:
            tasks.spawn(self._send_buffered)
            protocol = HTTP2(*self._parties(tasks, addresses, self._send_later))
            with self._reading:
                self._set_idle(True)
                await protocol.initiate()
                while data := await self._receive():
                    await protocol.handle(RawData(data))
                    if protocol.idle and not self._idle:  # the last stream was reset
                        self._set_idle(True)
            with trio.move_on_after(LINGER_SECONDS):
                await protocol.say_goodbye()
                await self._until_buffered(below=1)
            await protocol.handle(Closed())

    def _parties(
        self,
        tasks: RequestTasks | StreamTasks,
        addresses: Addresses,
        send: Callable[[Event], Awaitable[None]],
    ) -> tuple[Any, ...]:
        """Whom a protocol of Hypercorn's has to do with, as it wants to be told."""
        state, is_tls = ConnectionState({}), self._tls is not None
        return (self._app, self._config, self._context, tasks, state, is_tls, *addresses, send)

    def _expect_body(self, is_awaited: bool) -> None:
        if not is_awaited:
            self._read_by = math.inf
        elif self._read_by == math.inf:
            self._read_by = trio.current_time() + BODY_SECONDS

    async def _receive(self) -> bytes:
        """What the client sends next; nothing where it sends no more."""
        try:
            if self._stream is self._socket_stream:
                data = await receive(self._socket_stream, _RECEIVE_BYTES)
            else:
                data = bytes(await self._stream.receive_some(_RECEIVE_BYTES))
            return b"" if self._reading.cancel_called else data  # too late: it is being closed
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            return b""

    async def _send(self, event: Event) -> None:
        if isinstance(event, ResponseHead):
            self._unsent = event.data  # leaves with the first piece of the body, in one packet
        elif isinstance(event, RawData):
            data = self._unsent + event.data
            if isinstance(event, LastPiece) and self._stream is self._socket_stream:
                data = send_now(self._socket_stream, data)
            await self._send_bytes(data)
        elif isinstance(event, Updated):
            self._set_idle(event.idle)
        elif isinstance(event, Closed):
            self._closed_by_us = True
            self._reading.cancel()

    async def _send_later(self, event: Event) -> None:
        """As `_send`, but for what must go out whole: a stream's end must not tear it apart."""
        if isinstance(event, RawData):
            self._buffered += event.data
            self._buffer_changed.unpark_all()
            await self._until_buffered(below=_SEND_BYTES)
        else:
            await self._send(event)

    async def _until_buffered(self, below: int) -> None:
        while len(self._buffered) >= below:
            await self._buffer_changed.park()

    async def _send_buffered(self) -> None:
        while True:
            while not self._buffered:
                await self._buffer_changed.park()
            data = bytes(self._buffered)
            await self._send_bytes(data)
            del self._buffered[: len(data)]
            self._buffer_changed.unpark_all()

    async def _send_bytes(self, data: bytes) -> None:
        self._unsent = b""
        if not data:
            return
        try:
            self._sending.acquire_nowait()  # spares the checkpoint
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            for start in range(0, len(data), _SEND_BYTES):
                self._sent_by = trio.current_time() + SEND_SECONDS
                await self._stream.send_all(data[start : start + _SEND_BYTES])
            self._sent_by = math.inf
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            await trio.lowlevel.checkpoint()  # or who sends on and on would never be cancelled
        finally:
            self._sending.release()

    def _set_idle(self, idle: bool) -> None:
        self._idle = idle
        self._read_by = trio.current_time() + KEEP_ALIVE_SECONDS if idle else math.inf
        if idle and self._context.terminated.is_set():
            self._reading.cancel()


async def linger(stream: trio.SocketStream) -> None:
    """Let the client finish before the socket is closed, for LINGER_SECONDS at most.

    Closing a socket with unread data in it resets the connection, and the reset may overtake the
    answer (RFC 9112, section 9.6).
    """
    with trio.move_on_after(LINGER_SECONDS):
        try:
            await stream.send_eof()
            while await stream.receive_some(_RECEIVE_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
