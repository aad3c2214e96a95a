"""One client's connection: its socket, its deadlines, and the reading of what it sends."""

import math
import ssl
from typing import NamedTuple, cast

import trio
from hypercorn.config import Config
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, TaskGroup
from hypercorn.utils import parse_socket_addr

from job_service.web.edge.answers import CommonHeaders
from job_service.web.edge.heads import MAX_UNREAD_BYTES
from job_service.web.edge.http1 import HTTP1, SendEvent
from job_service.web.edge.sending import Sender, Stream, cancel_soon
from job_service.web.edge.sockets import has_left, is_broken, receive
from job_service.web.edge.tasks import RequestTask
from job_service.web.edge.tls import shake_hands
from job_service.web.edge.unsent import Unsent

HANDSHAKE_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
HALF_CLOSED_SECONDS = 10.0
BODY_SECONDS = 60.0
LINGER_SECONDS = 2.0
LOOK_SECONDS = 1.0

Address = tuple[str, int] | None


class Site(NamedTuple):
    """What all connections of a server have in common."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    headers: CommonHeaders
    unsent: Unsent


class Connection:
    """Serves the requests of one client until either side has enough.

    It is closed after KEEP_ALIVE_SECONDS without a complete request head, when the body of a
    request takes longer than BODY_SECONDS, and when its client stops reading. These deadlines are
    plain numbers that the server compares every second: timers would cost each request a tenth of
    its time.
    """

    def __init__(self, stream: trio.SocketStream, site: Site, tls: ssl.SSLContext | None) -> None:
        self._socket_stream = stream
        self._stream: Stream = stream
        self._site = site
        self._tls = tls
        self._idle = True
        self._closed_by_us = False
        self._farewell = b""
        self._shaking_hands = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._waiting = trio.CancelScope()  # for the client or for `go_on`, within `_reading`
        self._read_by = math.inf
        self._half_closed = False
        self._overdue = False
        self._sender = Sender(stream, site.unsent, self._reading)
        self.send = self._sender.send
        self.has_room = site.unsent.has_room

    async def run(self) -> None:
        """Serve until the connection is closed. Errors of the socket end it quietly.

        Raises HandshakeFailed.
        """
        socket = self._socket_stream.socket
        async with self._socket_stream:
            try:
                client = parse_socket_addr(socket.family, socket.getpeername())
                server = parse_socket_addr(socket.family, socket.getsockname())
            except OSError:  # the client left before it was served
                return
            self._sender.client = f"{client[0]}:{client[1]}" if client else "unix"
            if self._tls is not None and not await self._secure(self._tls):
                return
            await self._serve(client, server)
            if self._closed_by_us:
                await linger(self._socket_stream)

    @property
    def client(self) -> str:
        """Its address, as reports name it."""
        return self._sender.client

    @property
    def descriptor(self) -> int:
        """The descriptor of its socket; below 0 once it is closed."""
        return self._socket_stream.socket.fileno()

    def close_if_idle(self) -> None:
        """Close the connection unless it owes an answer."""
        if self._idle:
            self._shaking_hands.cancel()
            self._reading.cancel()

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if its client has let a deadline pass. To be called every second."""
        if self._sender.is_overdue(now) or now >= self._read_by:
            self._overdue = True
            self._reading.cancel()

    def set_idle(self, is_idle: bool) -> None:
        """Note whether no answer is owed."""
        self._idle = is_idle
        self._read_by = trio.current_time() + KEEP_ALIVE_SECONDS if is_idle else math.inf
        if is_idle and self._site.context.terminated.is_set():
            self._reading.cancel()

    def expect_body(self, is_expected: bool) -> None:
        """Note whether the client is to send more of a body."""
        if self._half_closed:  # it has another deadline
            return
        if not is_expected:
            self._read_by = math.inf
        elif self._read_by == math.inf:
            self._read_by = trio.current_time() + BODY_SECONDS

    def go_on(self) -> None:
        """Have the reading task look again at what it has left unread."""
        self._waiting.cancel()

    def close(self, farewell: bytes = b"") -> None:
        """Read no more, and end when everything is sent, and then `farewell`."""
        self._closed_by_us = True
        self._farewell = farewell
        cancel_soon(self._reading)

    async def _secure(self, tls: ssl.SSLContext) -> bool:
        """Go on inside TLS; whether that came about in time. Raises HandshakeFailed."""
        secured = None
        self._shaking_hands.deadline = trio.current_time() + HANDSHAKE_SECONDS
        with self._shaking_hands:
            secured = await shake_hands(self._socket_stream, tls)
        if secured is None:
            return False
        self._stream = secured
        self._sender.secure(secured)
        return True

    async def _serve(self, client: Address, server: Address) -> None:
        site = self._site

        def open_stream(task: RequestTask, send: SendEvent, stream_id: int) -> HTTPStream:
            place = self._tls is not None, client, server
            tasks = cast("TaskGroup", task)  # a stream neither enters nor leaves it
            return HTTPStream(site.app, site.config, site.context, tasks, *place, send, stream_id)

        async with trio.open_nursery() as nursery:
            http = HTTP1(
                self,
                nursery,
                open_stream,
                answer_headers=site.headers.now,
                is_closing=site.context.terminated.is_set,
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

        It reads even what can't be answered yet, because nothing else shows that the client has
        gone.
        """
        data: bytes | None = None
        if http.is_answering:
            with trio.CancelScope() as self._waiting:
                if http.room:
                    data = await self._receive(http.room)
                else:
                    await self._watch(http)
        else:  # nobody calls `go_on`, so this scope is spared
            data = await self._receive(http.room)
        if self._reading.cancel_called:
            return False
        if data is None:
            await http.go_on()
        else:
            await http.receive(data)
        return data != b""

    async def _watch(self, http: HTTP1) -> None:
        """Wait for `go_on`, and look from time to time whether the client is still there."""
        while not has_left(self._socket_stream):  # noqa: ASYNC110  # nothing would wake us
            await trio.sleep(LOOK_SECONDS)
        if is_broken(self._socket_stream):
            self._reading.cancel()
        await self._wait_half_closed(http)

    async def _finish(self, http: HTTP1) -> None:
        """Answer what is left to answer, after the client has sent its last byte."""
        while not (self._idle or http.is_streaming or self._reading.cancel_called):
            with trio.CancelScope() as self._waiting:
                await self._wait_half_closed(http)
            await http.go_on()

    async def _wait_half_closed(self, http: HTTP1) -> None:
        """Wait for `go_on`, for HALF_CLOSED_SECONDS at most.

        The client may have closed only its half, and still wait for its answer; but it looks the
        same if it has gone. If its answer is a stream, which might never end, it counts as gone.
        """
        self._half_closed = True
        self._read_by = trio.current_time() + HALF_CLOSED_SECONDS
        if http.is_streaming:
            self._reading.cancel()
        await trio.sleep_forever()

    async def _receive(self, max_bytes: int) -> bytes:
        """What the client sends next; nothing if it sends no more."""
        try:
            if self._stream is self._socket_stream:
                data = await receive(self._socket_stream, max_bytes)
            else:
                data = bytes(await self._stream.receive_some(max_bytes))
            return b"" if self._reading.cancel_called else data  # too late: it is being closed
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()
            return b""


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
