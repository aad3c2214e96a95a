"""The tasks of one connection: the app, once for each request."""

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

import trio
from hypercorn.config import Config
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPRequestEvent,
    Scope,
)

SHORT_BODY_BYTES = 16 * 1024

Receive = Callable[[], Awaitable[ASGIReceiveEvent]]
Send = Callable[[ASGISendEvent | None], Awaitable[None]]
Put = Callable[[ASGIReceiveEvent], Awaitable[None]]

_UNREAD_BYTES = 128 * 1024
_MESSAGE_BYTES = 256  # about what a message costs beside its body, which may be a single byte


class Inbox:
    """The messages of one request on their way from the protocol to the app, in order.

    Neither end meets a checkpoint where it need not wait. The protocol, and with it the reading
    of the socket, waits while _UNREAD_BYTES are unread, unless the app takes no more.
    """

    def __init__(self) -> None:
        self._messages: deque[HTTPRequestEvent] = deque()
        self._unread = 0
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    async def put(self, message: HTTPRequestEvent) -> None:
        """Called by the protocol."""
        if not message["body"] and message["more_body"]:
            return
        while self._unread >= _UNREAD_BYTES and not self._closed:
            await self._changed.park()
        self._messages.append(message)
        self._unread += len(message["body"]) + _MESSAGE_BYTES
        self._changed.unpark_all()

    async def receive(self) -> ASGIReceiveEvent:
        """Called by the app, as ASGI has it."""
        while not self._messages:
            await self._changed.park()
        message = self._messages.popleft()
        self._unread -= len(message["body"]) + _MESSAGE_BYTES
        self._changed.unpark_all()
        return message

    def close(self) -> None:
        """The app takes no more."""
        self._closed = True
        self._changed.unpark_all()


class RequestTasks:
    """What Hypercorn calls a task group, of one connection. Leaving it cancels all that is in it.

    A request ends with its connection and not before, so no disconnect is told.
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

    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task of Hypercorn's own; its streams have none."""
        self._nursery.start_soon(func, *args)

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Send) -> Put:  # noqa: ARG002  # Hypercorn's signature
        """Start the app on a request; gives what takes the rest of the request.

        Where a short body is announced, the app is run when that body is here, in the task that
        reads the connection: a task of its own would cost as much as all that the app does. All
        others have one: those without a body may wait or stream, and meanwhile the reading must
        go on, for it tells when the client has gone.
        """
        inbox = Inbox()
        run_app = partial(_run_app, app, scope, inbox, inbox.receive, send)

        async def put(message: ASGIReceiveEvent) -> None:
            if message["type"] == "http.request":
                await inbox.put(message)

        short_body = bytearray()

        async def put_until_complete(message: ASGIReceiveEvent) -> None:
            if message["type"] == "http.request":
                short_body.extend(message["body"])
                if not message["more_body"]:
                    await inbox.put({**message, "body": bytes(short_body)})
                    await run_app()

        if _announces_short_body(scope):
            return put_until_complete
        self._nursery.start_soon(run_app)
        return put


def _announces_short_body(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) <= SHORT_BODY_BYTES
    return False


async def _run_app(
    app: AppWrapper, scope: Scope, inbox: Inbox, receive: Receive, send: Send
) -> None:
    try:
        await app(scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)
        await send(None)
    finally:
        inbox.close()
