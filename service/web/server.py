"""The HTTP edge: accepts connections, guards each from the others, and closes them in time."""

from collections.abc import Callable
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from hypercorn.utils import wrap_app

from service.jobs.failure import describe
from service.telemetry.events import ConnectionFailed, Event, utc_now
from service.web.connection import Connection

CLOSE_SECONDS = 2.0
FAILURE_LINE_SECONDS = 1.0


class Server:
    """Serves one app on some listeners, on Hypercorn's protocol code and its own accept loop."""

    def __init__(self, app: ASGIFramework, emit: Callable[[Event], None]) -> None:
        self._app = wrap_app(app, wsgi_max_body_size=0, mode="asgi")
        self._emit = emit
        self._config = Config()
        self._config.errorlog = None
        self._config.include_server_header = False
        self._context = WorkerContext(max_requests=None)
        self._connections: set[Connection] = set()
        self._next_failure_line = 0.0
        self._closing = trio.Event()
        self._closed = trio.Event()

    async def serve(
        self,
        listeners: list[trio.SocketListener],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `close` is called, and then for as long as answers are owed.

        Idle connections close at once, the others as soon as they have their answer, and all that
        is left is cut off CLOSE_SECONDS later.
        """
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                await accepting.start(
                    partial(
                        trio.serve_listeners,
                        self._serve_connection,
                        listeners,
                        handler_nursery=connections,
                    )
                )
                task_status.started()
                await self._closing.wait()
                accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            await self._context.terminated.set()  # each connection's present answer is its last
            for connection in self._connections:
                connection.close_if_idle()
        self._closed.set()

    async def close(self) -> None:
        """Stop serving, and return when the last connection is closed."""
        self._closing.set()
        await self._closed.wait()

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        if self._closing.is_set():  # accepted in the last moment
            await stream.aclose()
            return
        connection = Connection(stream, self._app, self._config, self._context)
        self._connections.add(connection)
        try:
            await connection.run()
        except Exception as error:
            self._report(connection, error)
        finally:
            self._connections.discard(connection)

    def _report(self, connection: Connection, error: Exception) -> None:
        # One hostile client can fail thousands of times a second; one line a second tells enough.
        if trio.current_time() >= self._next_failure_line:
            self._next_failure_line = trio.current_time() + FAILURE_LINE_SECONDS
            self._emit(
                ConnectionFailed(
                    timestamp=utc_now(), client=connection.client, error=describe(error)
                )
            )
