"""HTTP/1.1 between one client and the app: answers requests one after the other."""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol

import trio
from hypercorn.protocol import events
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ASGIReceiveEvent, ConnectionState

from job_service.web.edge.answers import CONTINUE, Answer, refusal
from job_service.web.edge.bodies import Body, SizedBody
from job_service.web.edge.heads import NO_REQUEST, Refused, Unread, asks_for_head_only
from job_service.web.edge.requests import Headers, Request, read_request
from job_service.web.edge.tasks import RequestTask

MAX_UNREAD_BYTES = 64 * 1024  # more than a head and a short body

SendEvent = Callable[[events.Event], Awaitable[None]]

_SAFE: Final = ("GET", "HEAD", "OPTIONS")  # RFC 9110, section 9.2.1
_UNREAD: Final = "too many answers wait for their clients to read them"
_STREAM_ID: Final = 1  # Hypercorn's streams want one, for HTTP/2


class Client(Protocol):
    """What HTTP needs of a connection."""

    async def send(self, head: bytes, body: bytes, *, is_last: bool) -> None:
        """Send both; `is_last` if nothing of the same answer follows."""

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may wait to be read by the client."""

    def set_idle(self, is_idle: bool) -> None:
        """Note whether no answer is owed."""

    def expect_body(self, is_expected: bool) -> None:
        """Note whether the client is to send more of a body."""

    def go_on(self) -> None:
        """Note that there is room for more, or that what has come can be answered now."""

    def close(self, farewell: bytes = b"") -> None:
        """Read no more, send this, and then end the connection."""


class HTTP1:
    """Reads requests, and runs Hypercorn's stream, and with it the app, on each.

    What has come waits unread: a body until the app asks for it, and the next request until this
    one has its answer. It speaks neither HTTP/2 nor WebSocket; RFC 9110, section 7.8, lets a server
    ignore an Upgrade. If `is_closing`, each answer is the last of its connection.
    """

    def __init__(
        self,
        client: Client,
        nursery: trio.Nursery,
        open_stream: Callable[[RequestTask, SendEvent, int], HTTPStream],
        answer_headers: Callable[[], Headers],
        is_closing: Callable[[], bool],
    ) -> None:
        self._client = client
        self._nursery = nursery
        self._open_stream = open_stream
        self._answer_headers = answer_headers
        self._is_closing = is_closing
        self._unread = Unread()
        self._method = ""  # of the present request
        self._is_head_only = False  # what it wants, known even if the rest of it is refused
        self._body: Body | None = None  # of it, while some of it is left to take
        self._is_body_wanted = False
        self._awaited: SizedBody | None = None  # a short body, before the app is run
        self._stream: HTTPStream | None = None  # for as long as it is being answered
        self._answer: Answer | None = None
        self._head = b""  # of the answer, which leaves with the first piece of its body
        self._arrived = trio.lowlevel.ParkingLot()  # the app waits here for more of the body
        self._has_ended = False  # the client sends no more
        self._is_closed = False

    async def receive(self, data: bytes) -> None:
        """Take what the client has sent; nothing if it sends no more."""
        self._unread.data += data
        self._has_ended = not data
        if self._arrived:
            self._arrived.unpark_all()
        await self.go_on()

    async def go_on(self) -> None:
        """Answer what has come, as far as it can be answered now."""
        try:
            while not self._is_closed:
                if self._awaited is not None:
                    if not self._is_here(self._awaited):
                        return
                    await self._run_on_body()
                elif self._stream is None and (head := self._next_head()):
                    await self._begin(read_request(head))
                else:
                    return
        except Refused as refused:
            self._refuse(refused.status, refused.detail)

    @property
    def room(self) -> int:
        """How many more bytes the client may send for now."""
        return max(0, MAX_UNREAD_BYTES - len(self._unread.data))

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
        is_body_missing = self._body is not None and self._is_body_wanted
        if is_body_missing or (self._stream is None and self._unread.data):
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not come to its end")

    def _next_head(self) -> bytes | None:
        """The head of the next request, if it is here. Raises Refused if it never will be."""
        self._unread.skip_empty_lines()
        if not self._unread.data:
            return None
        self._is_head_only = asks_for_head_only(self._unread.data)
        head = self._unread.take_head()
        if head is None and self._has_ended:
            raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
        return head

    async def _begin(self, request: Request) -> None:
        self._method = request.method
        self._body = request.body
        self._is_body_wanted = False
        self._awaited = request.short_body
        self._answer = None
        self._client.set_idle(False)
        task = RequestTask(
            self._nursery,
            partial(self._receive_body, request.body),
            has_short_body=request.short_body is not None,
        )
        self._stream = self._open_stream(task, partial(self._send, request), _STREAM_ID)
        state = ConnectionState({})
        await self._stream.handle(
            events.Request(
                _STREAM_ID, request.headers, request.version, request.method, request.target, state
            )
        )
        if request.awaits_continue and not self._unread.data:
            await self._client.send(CONTINUE, b"", is_last=True)

    def _is_here(self, body: SizedBody) -> bool:
        """Whether all of a short body has come. Raises Refused if it never will."""
        if len(self._unread.data) >= body.missing:
            return True
        if self._has_ended:
            raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
        self._expect_body()
        return False

    async def _run_on_body(self) -> None:
        """Run the app in this task, because all of its short body is here."""
        self._awaited = None
        self._expect_no_body()
        if self._stream is not None:
            await self._stream.app_put({"type": "http.request", "body": b"", "more_body": False})
        if self._unread.data:
            await trio.lowlevel.checkpoint()  # others have their turn before the next request

    async def _receive_body(self, body: Body) -> ASGIReceiveEvent:
        """The next of this body, as ASGI has it. The app that answers its request calls this."""
        while self._body is body and not self._is_closed:
            unread = len(self._unread.data)
            try:
                piece = body.take(self._unread.data)
                has_taken = len(self._unread.data) < unread
                if self._has_ended and not (has_taken or body.is_complete):
                    raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
            except Refused as refused:
                self._refuse(refused.status, refused.detail)
                break
            if body.is_complete:
                self._body = None
                self._expect_no_body()
            else:
                self._expect_body()
            if unread >= MAX_UNREAD_BYTES:
                self._client.go_on()
            if has_taken and self._unread.data and not body.is_complete:
                await trio.lowlevel.checkpoint()  # others have their turn, too
            if piece or body.is_complete:
                return {"type": "http.request", "body": piece, "more_body": not body.is_complete}
            if not has_taken:
                await self._arrived.park()
        await trio.sleep_forever()  # the body is over; this task ends with its connection
        raise AssertionError("never comes here")

    def _expect_body(self) -> None:
        self._is_body_wanted = True
        self._client.expect_body(True)

    def _expect_no_body(self) -> None:
        if self._is_body_wanted:
            self._client.expect_body(False)

    def _is_body_away(self) -> bool:
        """Whether some of the body may be missing yet: then the connection ends with the answer.

        The client must know, or its next request would go to a connection that is being closed.
        """
        body = self._body
        if isinstance(body, SizedBody):
            return body.missing > len(self._unread.data)
        return body is not None

    def _drop_body(self) -> bool:
        """Pass over what the app has not read of the body; whether all of that is here."""
        body, self._body = self._body, None
        if body is None:
            return True
        try:
            body.take(self._unread.data)
        except Refused:
            return False
        return body.is_complete

    async def _send(self, request: Request, event: events.Event) -> None:
        """Send what the app answers. Its stream calls this, with a Response to begin with."""
        answer = self._answer
        if self._is_closed:
            # An answer without end is cancelled only at a checkpoint.
            if isinstance(event, events.Body):
                await trio.lowlevel.checkpoint()
        elif isinstance(event, events.Response):
            headers = [*event.headers, *self._answer_headers()]
            is_last = self._is_closing() or self._is_body_away()
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
        if self._head and not self._client.has_room(len(data)):
            self._refuse_answer()  # without a checkpoint: the body is kept until the app returns
            return
        head, self._head = self._head, b""
        await self._client.send(head, answer.piece(data), is_last=answer.is_complete)

    async def _send_end(self, answer: Answer) -> None:
        head, self._head = self._head, b""
        end = answer.end()
        if head or end:
            await self._client.send(head, end, is_last=True)

    async def _close_stream(self, *, closes: bool) -> None:
        stream, self._stream = self._stream, None
        self._answer = None
        if stream is not None:
            await stream.handle(events.StreamClosed(_STREAM_ID))  # it takes no more
        is_dropped = self._drop_body()
        is_last = closes or self._is_closing() or (self._has_ended and not self._unread.data)
        if is_last or not is_dropped:
            self._is_closed = True
            self._client.close()
        else:
            self._client.set_idle(True)
            if self._unread.data:
                self._client.go_on()

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
        answer = b""
        if not has_begun:
            others = *self._answer_headers(), *headers
            answer = refusal(status, detail, *others, with_body=not self._is_head_only)
        self._client.close(answer)
