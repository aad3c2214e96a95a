"""The server: accepts connections, keeps each from harming the others, closes them in time."""

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from hypercorn.utils import wrap_app

from job_service.failures.report import describe
from job_service.telemetry.events import ConnectionFailed, ConnectionRefused, Event, utc_now
from job_service.web.edge import descriptors
from job_service.web.edge.answers import CommonHeaders, refusal
from job_service.web.edge.connection import Connection, Site, linger
from job_service.web.edge.heads import asks_for_head_only
from job_service.web.edge.listeners import Listener
from job_service.web.edge.tls import HandshakeFailed, Keys
from job_service.web.edge.unsent import Unsent

CLOSE_SECONDS = 2.0
FAILURE_LINE_SECONDS = 1.0
ACCEPT_PAUSE_SECONDS = 0.1
LOOK_SECONDS = 1.0
MAX_REFUSALS = 100
REFUSAL_SECONDS = 0.5


class Server:
    """Serves one app on some listeners, on Hypercorn's streams and its own accept loop.

    At most `max_connections` are served at a time, and fewer if they would leave too few file
    descriptors to jobs. Others are refused with a 503. If that would need a TLS handshake first, or
    they come too fast, they are just closed.
    """

    def __init__(
        self,
        app: ASGIFramework,
        emit: Callable[[Event], None],
        *,
        max_connections: int,
        keys: Keys | None = None,
    ) -> None:
        config = Config()
        config.errorlog = logging.getLogger("hypercorn.error")  # not a stream of its own
        config.include_server_header = False
        self._site = Site(
            wrap_app(app, wsgi_max_body_size=0, mode="asgi"),
            config,
            WorkerContext(max_requests=None),
            CommonHeaders(config),
            Unsent(self._report),
        )
        self._emit = emit
        self._max_connections = max_connections
        self._keys = keys
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
        """Serve until `close` is called, and then until no answers are owed.

        Idle connections close at once, the others as soon as they have their answer. Whatever is
        left after CLOSE_SECONDS is cut off.
        """
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, connections)
                accepting.start_soon(self._watch_deadlines)
                if self._keys is not None:
                    accepting.start_soon(self._keys.watch, self._emit)
                task_status.started()
                await self._closing.wait()
                accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            await self._site.context.terminated.set()  # the answers under way are the last
            for connection in self._connections:
                connection.close_if_idle()
        self._closed.set()

    def descriptors(self) -> list[int]:
        """The descriptors of its connections."""
        return [connection.descriptor for connection in self._connections]

    async def close(self) -> None:
        """Stop serving, and return when the last connection is closed."""
        self._closing.set()
        await self._closed.wait()

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        async with listener:
            while True:
                try:
                    streams = await listener.accept()
                except OSError as error:  # such as too many open files; it passes
                    self._report("none", describe(error))
                    await trio.sleep(ACCEPT_PAUSE_SECONDS)
                    continue
                for stream in streams:
                    self._admit(stream, connections)

    def _admit(self, stream: trio.SocketStream, connections: trio.Nursery) -> None:
        if (why := self._too_many(stream)) is None:
            tls = None if self._keys is None else self._keys.context
            connection = Connection(stream, self._site, tls)
            self._connections.add(connection)
            connections.start_soon(self._serve_connection, connection)
        else:
            self._emit(ConnectionRefused(timestamp=utc_now()))
            self._report("none", f"refused, too many connections: {why}")
            connections.start_soon(self._refuse, stream, why)

    def _too_many(self, stream: trio.SocketStream) -> str | None:
        """Why this connection is one too many; None if it is not."""
        if len(self._connections) >= self._max_connections:
            return f"all {self._max_connections} are in use"
        if not descriptors.leaves_reserve(stream.socket.fileno()):
            return (
                f"after {len(self._connections)} of them only {descriptors.reserve()} file "
                "descriptors are left, and jobs need those; see ulimit -n"
            )
        return None

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

    async def _refuse(self, stream: trio.SocketStream, why: str) -> None:
        async with stream:
            at_a_time = min(MAX_REFUSALS, descriptors.reserve() // 2)  # which take from it, too
            if self._keys is not None or self._refusals >= at_a_time:
                return
            self._refusals += 1
            try:
                with_body = not await _asks_for_head_only(stream)
                answer = _too_many_connections(why, with_body=with_body)
                await stream.send_all(answer)  # a new socket has room for it
                await linger(stream)
            except trio.BrokenResourceError:
                return
            finally:
                self._refusals -= 1

    def _report(self, client: str, error: str) -> None:
        # One hostile client can fail thousands of times a second; one line a second is enough.
        if trio.current_time() >= self._next_failure_line:
            self._next_failure_line = trio.current_time() + FAILURE_LINE_SECONDS
            self._emit(ConnectionFailed(timestamp=utc_now(), client=client, error=error))


async def _asks_for_head_only(stream: trio.SocketStream) -> bool:
    """Whether the first that comes is a HEAD; nobody need send anything to be refused."""
    with trio.move_on_after(REFUSAL_SECONDS):
        return asks_for_head_only(await stream.receive_some())
    return False


def _too_many_connections(why: str, *, with_body: bool) -> bytes:
    return refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"too many connections: {why}",
        (b"retry-after", b"1"),
        with_body=with_body,
    )
