"""HTTP/1.1 between one client and the app: answers requests one after the other."""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import trio
from hypercorn.protocol import events
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ASGIReceiveEvent, ConnectionState

from job_service.web.edge.answers import Answer, refusal
from job_service.web.edge.heads import NO_REQUEST, Refused, Unread, asks_for_head_only
from job_service.web.edge.incoming_body import IncomingBody
from job_service.web.edge.requests import Headers, Request, read_request
from job_service.web.edge.tasks import RequestTask
from job_service.web.edge.transport import Transport

SendEvent = Callable[[events.Event], Awaitable[None]]

_SAFE: Final = ("GET", "HEAD", "OPTIONS")  # RFC 9110, section 9.2.1
_UNREAD: Final = "too many answers wait for their clients to read them"
_STREAM_ID: Final = 1  # Hypercorn's streams want one, for HTTP/2


class HTTP1:
    """Reads requests, and runs Hypercorn's stream, and with it the app, on each.

    What has come waits unread: a body until the app asks for it, and the next request until this
    one has its answer. It speaks neither HTTP/2 nor WebSocket; RFC 9110, section 7.8, lets a server
    ignore an Upgrade. If `is_closing`, each answer is the last of its connection.
    """

    def __init__(
        self,
        transport: Transport,
        nursery: trio.Nursery,
        open_stream: Callable[[RequestTask, SendEvent, int], HTTPStream],
        answer_headers: Callable[[], Headers],
        is_closing: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._nursery = nursery
        self._open_stream = open_stream
        self._answer_headers = answer_headers
        self._is_closing = is_closing
        self._unread = Unread()
        self._method = ""  # of the present request
        self._is_head_only = False  # what it wants, known even if the rest of it is refused
        self._body: IncomingBody | None = None  # of it, until it has its answer
        self._awaited: IncomingBody | None = None  # a short body, before the app is run
        self._stream: HTTPStream | None = None  # for as long as it is being answered
        self._answer: Answer | None = None
        self._head = b""  # of the answer, which leaves with the first piece of its body
        self._is_closed = False

    async def receive(self, data: bytes) -> None:
        """Take what the client has sent; nothing if it sends no more."""
        self._unread.add(data)
        await self.go_on()

    async def go_on(self) -> None:
        """Answer what has come, as far as it can be answered now."""
        try:
            while not self._is_closed:
                if self._awaited is not None:
                    if not self._awaited.is_here():
                        return
                    await self._run_on(self._awaited)
                elif self._stream is None and (head := self._next_head()):
                    await self._begin(read_request(head))
                else:
                    return
        except Refused as refused:
            self._refuse(refused.status, refused.detail)

    @property
    def room(self) -> int:
        """How many more bytes the client may send for now."""
        return self._unread.room

    @property
    def is_answering(self) -> bool:
        """Whether a request has come whose answer is still owed."""
        return self._stream is not None

    @property
    def is_streaming(self) -> bool:
        """Whether an answer is under way that says nothing of its length."""
        return self._answer is not None and not self._answer.has_length

    def time_out(self) -> None:
        """Answer 408 if the client has begun a request, which has taken too long."""
        is_body_missing = self._body is not None and self._body.is_awaited
        if is_body_missing or (self._stream is None and self._unread.data):
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not come to its end")

    def _next_head(self) -> bytes | None:
        """The head of the next request, if it is here. Raises Refused if it never will be."""
        self._unread.skip_empty_lines()
        if not self._unread.data:
            return None
        self._is_head_only = asks_for_head_only(self._unread.data)
        head = self._unread.take_head()
        if head is None and self._unread.has_ended:
            raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
        return head

    async def _begin(self, request: Request) -> None:
        self._method = request.method
        body = self._body = IncomingBody(
            request.body,
            self._unread,
            self._transport,
            awaits_continue=request.awaits_continue,
        )
        self._awaited = None if request.short_body is None else body
        self._answer = None
        self._transport.set_idle(False)
        task = RequestTask(
            self._nursery,
            partial(self._receive, body),
            has_short_body=request.short_body is not None,
        )
        self._stream = self._open_stream(task, partial(self._send, request), _STREAM_ID)
        state = ConnectionState({})
        await self._stream.handle(
            events.Request(
                _STREAM_ID, request.headers, request.version, request.method, request.target, state
            )
        )

    async def _run_on(self, body: IncomingBody) -> None:
        """Run the app in this task, because all of its short body is here."""
        self._awaited = None
        body.await_no_more()
        if self._stream is not None:
            await self._stream.app_put({"type": "http.request", "body": b"", "more_body": False})
        if self._unread.data:
            await trio.lowlevel.checkpoint()  # others have their turn before the next request

    async def _receive(self, body: IncomingBody) -> ASGIReceiveEvent:
        """The next of this body. The app that answers its request calls this."""
        try:
            return await body.receive()
        except Refused as refused:
            self._refuse(refused.status, refused.detail)
        await trio.sleep_forever()  # this task ends with its connection
        raise AssertionError("never comes here")

    async def _send(self, request: Request, event: events.Event) -> None:
        """Send what the app answers. Its stream calls this, with a Response to begin with."""
        answer = self._answer
        if self._is_closed:
            # An answer without end is cancelled only at a checkpoint.
            if isinstance(event, events.Body):
                await trio.lowlevel.checkpoint()
        elif isinstance(event, events.Response):
            headers = [*event.headers, *self._answer_headers()]
            if self._body is not None:
                self._body.awaits_continue = False
            # If some of the body is missing, the connection ends with the answer. The client must
            # know, or its next request would go to a connection that is being closed.
            is_last = self._is_closing() or (self._body is not None and self._body.is_missing)
            answer = self._answer = Answer(request, event.status_code, headers, is_last=is_last)
            self._head = answer.head
        elif answer is None:
            return
        elif isinstance(event, events.Body):
            await self._send_body(answer, event.data)
        elif isinstance(event, events.EndBody):
            await self._send_end(answer)
        elif isinstance(event, events.StreamClosed):
            await self._close_stream(closes=answer.closes)

    async def _send_body(self, answer: Answer, data: bytes) -> None:
        if self._head and not self._transport.has_room(len(data)):
            self._refuse_answer()  # without a checkpoint: the body is kept until the app returns
            return
        head, self._head = self._head, b""
        await self._transport.send(head, answer.piece(data), is_last=answer.is_complete)

    async def _send_end(self, answer: Answer) -> None:
        head, self._head = self._head, b""
        end = answer.end()
        if head or end:
            await self._transport.send(head, end, is_last=True)

    async def _close_stream(self, *, closes: bool) -> None:
        stream, self._stream = self._stream, None
        self._answer = None
        if stream is not None:
            await stream.handle(events.StreamClosed(_STREAM_ID))  # it takes no more
        body, self._body = self._body, None
        is_dropped = body is None or body.drop()
        has_ended = self._unread.has_ended and not self._unread.data
        is_last = closes or self._is_closing() or has_ended
        if is_last or not is_dropped:
            self._is_closed = True
            self._transport.close()
        else:
            self._transport.set_idle(True)
            if self._unread.data:
                self._transport.go_on()

    def _refuse_answer(self) -> None:
        if self._method in _SAFE:
            again = ((b"retry-after", b"1"),)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, _UNREAD, *again)
        else:  # to do it again would do it twice
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, f"what you asked for was done, but {_UNREAD}"
            )

    def _refuse(self, status: HTTPStatus, detail: str, *headers: tuple[bytes, bytes]) -> None:
        """Answer with a problem, unless an answer has begun, and end the connection."""
        has_begun = self._answer is not None and not self._head
        self._is_closed = True
        if self._body is not None:
            self._body.is_over = True
        answer = b""
        if not has_begun:
            others = *self._answer_headers(), *headers
            answer = refusal(status, detail, *others, with_body=not self._is_head_only)
        self._transport.close(answer)
