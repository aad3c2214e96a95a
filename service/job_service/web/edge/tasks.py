"""The task in which the app answers one request."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope

Receive = Callable[[], Awaitable[ASGIReceiveEvent]]
Send = Callable[[ASGISendEvent | None], Awaitable[None]]
Put = Callable[[ASGIReceiveEvent], Awaitable[None]]


class RequestTask:
    """What Hypercorn calls a task group, for one request, inside the nursery of its connection.

    The body stays unread until the app calls `receive`. If the connection ends, so does this task,
    so the app never receives a disconnect.
    """

    def __init__(self, nursery: trio.Nursery, receive: Receive, *, has_short_body: bool) -> None:
        self._nursery = nursery
        self._receive = receive
        self._has_short_body = has_short_body

    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task of Hypercorn's own. HTTP streams have none."""
        self._nursery.start_soon(func, *args)

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Send) -> Put:  # noqa: ARG002  # Hypercorn's signature
        """Start the app on a request; gives what Hypercorn calls with the rest of the request.

        If the body is short, the app runs once that body is here, in the task that reads the
        connection, because a task of its own would cost as much as everything that the app does.
        Other requests have a task of their own: one without a body, or with a query, may wait or
        stream, and meanwhile reading must go on, because it shows when the client has gone.
        """
        run_app = partial(_run_app, app, scope, self._receive, send)

        async def run_when_whole(message: ASGIReceiveEvent) -> None:
            if message["type"] == "http.request":
                await run_app()

        if self._has_short_body:
            return run_when_whole
        self._nursery.start_soon(run_app)
        return _ignore


async def _ignore(_: ASGIReceiveEvent) -> None:
    """The app is running, and receives for itself what it wants."""


async def _run_app(app: AppWrapper, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)
    await send(None)
