"""One client's connection: Hypercorn's HTTP/1.1 protocol between a socket and the app."""

import contextlib
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    Scope,
)
from hypercorn.utils import parse_socket_addr

from service.web.http1 import HTTP1, ResponseHead

KEEP_ALIVE_SECONDS = 15.0
SEND_SECONDS = 15.0
LINGER_SECONDS = 2.0

_RECEIVE_BYTES = 64 * 1024
_SEND_BYTES = 256 * 1024
_BODY_MESSAGES = 8


class Connection:
    """Serves the requests of one client, one after the other, until either side has enough.

    It is closed after KEEP_ALIVE_SECONDS without a complete request head, and when the client
    takes longer than SEND_SECONDS to read a piece of what is sent to it.
    """

    def __init__(
        self, stream: trio.SocketStream, app: AppWrapper, config: Config, context: WorkerContext
    ) -> None:
        self.client = "unknown"
        self._stream = stream
        self._app = app
        self._config = config
        self._context = context
        self._idle = True
        self._closed_by_us = False
        self._reading = trio.CancelScope()
        self._sending = trio.Lock()
        self._unsent = b""

    async def run(self) -> None:
        """Serve until the connection is closed. Errors of the socket end it quietly."""
        socket = self._stream.socket
        async with self._stream:
            try:
                client = parse_socket_addr(socket.family, socket.getpeername())
                server = parse_socket_addr(socket.family, socket.getsockname())
            except OSError:  # gone before it was served
                return
            self.client = f"{client[0]}:{client[1]}" if client else self.client
            async with _RequestTasks() as requests:
                protocol = HTTP1(
                    self._app,
                    self._config,
                    self._context,
                    requests,
                    ConnectionState({}),
                    False,
                    client,
                    server,
                    self._send,
                )
                await self._read(protocol)
            if self._closed_by_us:
                await self._linger()

    def close_if_idle(self) -> None:
        """Close the connection unless it owes an answer."""
        if self._idle:
            self._reading.cancel()

    async def _read(self, protocol: H11Protocol) -> None:
        with self._reading:
            self._set_idle(True)
            while True:
                try:
                    data = await self._stream.receive_some(_RECEIVE_BYTES)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                await protocol.handle(RawData(bytes(data)))
                if not data:
                    break
        await protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        if isinstance(event, ResponseHead):
            self._unsent = event.data  # leaves with the first piece of the body, in one packet
        elif isinstance(event, RawData):
            await self._send_bytes(self._unsent + event.data)
        elif isinstance(event, Updated):
            self._set_idle(event.idle)
        elif isinstance(event, Closed):
            self._closed_by_us = True
            self._reading.cancel()

    async def _send_bytes(self, data: bytes) -> None:
        self._unsent = b""
        if not data:
            return
        async with self._sending:
            try:
                for start in range(0, len(data), _SEND_BYTES):
                    with trio.fail_after(SEND_SECONDS):
                        await self._stream.send_all(data[start : start + _SEND_BYTES])
            except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
                self._reading.cancel()

    def _set_idle(self, idle: bool) -> None:
        self._idle = idle
        self._reading.deadline = trio.current_time() + KEEP_ALIVE_SECONDS if idle else math.inf

    async def _linger(self) -> None:
        # Closing a socket with unread data in it resets the connection, and the reset may overtake
        # the answer (RFC 9112, section 9.6). So let the client finish first, for a while.
        with trio.move_on_after(LINGER_SECONDS):
            try:
                await self._stream.send_eof()
                while await self._stream.receive_some(_RECEIVE_BYTES):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return


class _RequestTasks:
    """What Hypercorn calls a task group: runs the app once for each request of a connection.

    It outlives no request: leaving it cancels those that still run.
    """

    def __init__(self) -> None:
        self._opening = trio.open_nursery()

    async def __aenter__(self) -> Self:
        self._nursery = await self._opening.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._nursery.cancel_scope.cancel()
        await self._opening.__aexit__(exc_type, exc, traceback)

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,  # noqa: ARG002  # Hypercorn's signature
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start the app on a request; gives what takes the rest of the request."""
        to_app, from_client = trio.open_memory_channel[ASGIReceiveEvent](_BODY_MESSAGES)

        async def run_app() -> None:
            with from_client:
                await app(
                    scope,
                    from_client.receive,
                    send,
                    trio.to_thread.run_sync,
                    trio.from_thread.run,
                )
                await send(None)

        async def receive_from_client(message: ASGIReceiveEvent) -> None:
            # Hypercorn reports a disconnect after each answer, too, and Quart-Trio would take it as
            # a reason to cancel the closing of the connection. Where a client is really gone, the
            # connection ends and cancels its requests.
            if message["type"] != "http.disconnect":
                with contextlib.suppress(trio.BrokenResourceError):  # answered without the rest
                    await to_app.send(message)

        self._nursery.start_soon(run_app)
        return receive_from_client

    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task of Hypercorn's own."""
        self._nursery.start_soon(func, *args)
