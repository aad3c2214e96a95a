"""The tasks of one connection: the app, once for each request, and what Hypercorn adds to them."""

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope

SEND_SECONDS = 15.0
BODY_SECONDS = 60.0

Send = Callable[[ASGISendEvent | None], Awaitable[None]]
Put = Callable[[ASGIReceiveEvent], Awaitable[None]]

_BODY_MESSAGES = 8


class Inbox:
    """The messages of one request on their way from the protocol to the app, in order.

    Neither end meets a checkpoint where it need not wait. The protocol, and with it the reading
    of the socket, waits while _BODY_MESSAGES are unread, unless the app takes no more.
    """

    def __init__(self) -> None:
        self._messages: deque[ASGIReceiveEvent] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    async def put(self, message: ASGIReceiveEvent) -> None:
        """Called by the protocol."""
        while len(self._messages) >= _BODY_MESSAGES and not self._closed:
            await self._changed.park()
        self._messages.append(message)
        self._changed.unpark_all()

    async def receive(self) -> ASGIReceiveEvent:
        """Called by the app, as ASGI has it."""
        while not self._messages:
            await self._changed.park()
        message = self._messages.popleft()
        self._changed.unpark_all()
        return message

    def close(self) -> None:
        """The app takes no more."""
        self._closed = True
        self._changed.unpark_all()


class RequestTasks:
    """What Hypercorn calls a task group. It outlives no request: leaving it cancels all of them.

    Here a request ends with its connection, and not before: the disconnect that Hypercorn tells
    after each answer is no news.
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
        send: Send,
    ) -> Put:
        """Start the app on a request; gives what takes the rest of the request."""
        inbox = Inbox()

        async def put(message: ASGIReceiveEvent) -> None:
            if message["type"] != "http.disconnect":
                await inbox.put(message)

        self._nursery.start_soon(_run_app, app, scope, inbox, send)
        return put

    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task of Hypercorn's own."""
        self._nursery.start_soon(func, *args)


class StreamTasks(RequestTasks):
    """The same for a connection of many streams (HTTP/2), each of which can end by itself.

    A stream that its client resets is cancelled. One whose client does not send its body within
    BODY_SECONDS is told that it is disconnected, and one whose client does not let a message out
    within SEND_SECONDS ends its connection, by way of `give_up`.
    """

    def __init__(self, give_up: Callable[[], None]) -> None:
        super().__init__()
        self._give_up = give_up

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Send) -> Put:  # noqa: ARG002
        """Start the app on a request; gives what takes the rest of the request."""
        inbox = Inbox()
        request = trio.CancelScope()
        body_deadline = trio.current_time() + BODY_SECONDS
        answered = False

        async def put(message: ASGIReceiveEvent) -> None:
            if message["type"] != "http.disconnect":
                await inbox.put(message)
            elif not answered:
                request.cancel()

        async def receive_in_time() -> ASGIReceiveEvent:
            with trio.CancelScope(deadline=body_deadline):
                return await inbox.receive()
            return {"type": "http.disconnect"}

        async def send_in_time(message: ASGISendEvent | None) -> None:
            nonlocal answered
            answered |= message is not None and not message.get("more_body", True)
            with trio.CancelScope(deadline=trio.current_time() + SEND_SECONDS) as sending:
                await send(message)
            if sending.cancelled_caught:
                self._give_up()

        async def run() -> None:
            with request:
                await _run_app(app, scope, inbox, send_in_time, receive_in_time)

        self._nursery.start_soon(run)
        return put


async def _run_app(
    app: AppWrapper,
    scope: Scope,
    inbox: Inbox,
    send: Send,
    receive: Callable[[], Awaitable[ASGIReceiveEvent]] | None = None,
) -> None:
    try:
        await app(
            scope,
            receive or inbox.receive,
            send,
            trio.to_thread.run_sync,
            trio.from_thread.run,
        )
        await send(None)
    finally:
        inbox.close()
