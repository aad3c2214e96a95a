"""The HTTP edge: accepts connections, guards each from the others, and closes them in time."""

import logging
import ssl
import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from hypercorn.utils import wrap_app

from job_service.jobs.failure import describe
from job_service.telemetry.events import ConnectionFailed, ConnectionRefused, Event, utc_now
from job_service.web.edge.connection import Connection, linger
from job_service.web.edge.handshake import HandshakeFailed
from job_service.web.edge.http1 import refusal
from job_service.web.edge.listeners import Listener, accept_from

CLOSE_SECONDS = 2.0
FAILURE_LINE_SECONDS = 1.0
ACCEPT_PAUSE_SECONDS = 0.1
LOOK_SECONDS = 1.0
MAX_REFUSALS = 100


class Server:
    """Serves one app on some listeners, on Hypercorn's protocol code and its own accept loop.

    At most `max_connections` are served at a time. Those beyond are told so with a 503, or just
    closed where `tls` would first have to be agreed upon, or where they come too fast for that.
    """

    def __init__(
        self,
        app: ASGIFramework,
        emit: Callable[[Event], None],
        *,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._app = wrap_app(app, wsgi_max_body_size=0, mode="asgi")
        self._emit = emit
        self._max_connections = max_connections
        self._tls = tls
        self._config = Config()
        self._config.errorlog = logging.getLogger("hypercorn.error")  # not a stream of its own
        self._config.include_server_header = False
        self._config.keep_alive_max_requests = sys.maxsize  # HTTP/2 would lose the last answer
        self._context = WorkerContext(max_requests=None)
        self._connections: set[Connection] = set()
        self._refusals = 0
        self._next_failure_line = 0.0
        self._closing = trio.Event()
        self._closed = trio.Event()

    async def serve(
        self,
        listeners: Sequence[Listener],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `close` is called, and then for as long as answers are owed.

        Idle connections close at once, the others as soon as they have their answer, and all that
        is left is cut off CLOSE_SECONDS later.
        """
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, connections)
                accepting.start_soon(self._watch_deadlines)
                task_status.started()
                await self._closing.wait()
                accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            await self._context.terminated.set()  # each connection's present answer is its last
            for connection in self._connections:
                connection.close_if_idle()
        self._closed.set()

    def descriptors(self) -> list[int]:
        """Those of its connections."""
        return [connection.descriptor for connection in self._connections]

    async def close(self) -> None:
        """Stop serving, and return when the last connection is closed."""
        self._closing.set()
        await self._closed.wait()

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        async with listener:
            while True:
                try:
                    streams = await accept_from(listener)
                except OSError as error:  # such as too many open files; it passes
                    self._report("none", describe(error))
                    await trio.sleep(ACCEPT_PAUSE_SECONDS)
                    continue
                for stream in streams:
                    self._admit(stream, connections)

    def _admit(self, stream: trio.SocketStream, connections: trio.Nursery) -> None:
        if len(self._connections) < self._max_connections:
            connection = Connection(stream, self._app, self._config, self._context, self._tls)
            self._connections.add(connection)
            connections.start_soon(self._serve_connection, connection)
        else:
            self._emit(ConnectionRefused(timestamp=utc_now()))
            connections.start_soon(self._refuse, stream)

    async def _watch_deadlines(self) -> None:
        while True:
            await trio.sleep(LOOK_SECONDS)
            now = trio.current_time()
            for connection in self._connections:
                connection.close_if_overdue(now)

    async def _serve_connection(self, connection: Connection) -> None:
        try:
            await connection.run()
        except* HandshakeFailed as errors:
            self._report(connection.client, str(errors.exceptions[0]))
        except* Exception as errors:
            self._report(connection.client, describe(errors))
        finally:
            self._connections.discard(connection)

    async def _refuse(self, stream: trio.SocketStream) -> None:
        self._report("none", f"refused, for {self._max_connections} connections are open")
        async with stream:
            if self._tls is not None or self._refusals >= MAX_REFUSALS:
                return
            self._refusals += 1
            try:
                await stream.send_all(self._too_many_connections())  # a new socket has room for it
                await linger(stream)
            except trio.BrokenResourceError:
                return
            finally:
                self._refusals -= 1

    def _report(self, client: str, error: str) -> None:
        # One hostile client can fail thousands of times a second; one line a second tells enough.
        if trio.current_time() >= self._next_failure_line:
            self._next_failure_line = trio.current_time() + FAILURE_LINE_SECONDS
            self._emit(ConnectionFailed(timestamp=utc_now(), client=client, error=error))

    def _too_many_connections(self) -> bytes:
        headers, body = refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"too many connections: all {self._max_connections} are in use",
        )
        lines = [b"HTTP/1.1 503 Service Unavailable", b"retry-after: 1"]
        lines += [b"%s: %s" % header for header in headers]
        return b"\r\n".join([*lines, b"", body])
