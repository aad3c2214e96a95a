"""Hypercorn's HTTP/1.1, without its ways out, with a short way in and our own way to refuse."""

import math
from http import HTTPStatus
from urllib.parse import urlsplit

import h11
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent

from job_service.web.edge.plain import PlainRequest, read_plain, write_head
from job_service.web.problems import PROBLEM_CONTENT_TYPE, problem_json


class ResponseHead(RawData):
    """Status line and headers of a final response."""


class LastPiece(RawData):
    """The end of an answer; the connection is read next, so that others have their turn there."""


class HTTP1(H11Protocol):
    """Hypercorn's HTTP/1.1 (RFC 9112), without its ways out into HTTP/2 and WebSocket.

    We have nothing to say in either; RFC 9110, section 7.8, lets a server ignore an Upgrade. What
    `read_plain` can read is served past h11.
    """

    _answers_head = False
    _tells_length = True
    _held = b""  # a plain request whose body is missing
    _owed: float = 0.0  # bytes of the body of a plain request's answer
    _closes = False

    async def handle(self, event: Event) -> None:
        """Called by the connection with what happens to it."""
        if isinstance(event, RawData) and self._is_between_requests:
            held, self._held = self._held, b""
            request = read_plain(held + event.data)
            if request is not None and not request.missing:
                await self._serve_plain(request)
                return
            if request is not None and not held:  # many clients send head and body apart
                self._held = event.data
                await self.send(Updated(idle=False))
                return
            if held:
                await super().handle(RawData(held))
        await super().handle(event)

    @property
    def _is_between_requests(self) -> bool:
        return self.connection.their_state is h11.IDLE and not self.connection.trailing_data[0]

    @property
    def awaits_body(self) -> bool:
        """Whether the client has more of a request's body to send."""
        return self._held != b"" or self.connection.their_state is h11.SEND_BODY

    @property
    def is_streaming(self) -> bool:
        """Whether an answer is under way of which nobody knows when it ends."""
        return self.connection.our_state is h11.SEND_BODY and not self._tells_length

    async def time_out(self) -> None:
        """Answer 408 where the client has begun a request and takes too long over it."""
        unfinished_head = (
            self.connection.their_state is h11.IDLE and self.connection.trailing_data[0]
        )
        has_begun = self._held or unfinished_head
        if has_begun or (self.awaits_body and self.connection.our_state is h11.SEND_RESPONSE):
            await self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not come to its end")
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        pass

    async def _create_stream(self, request: h11.Request) -> None:
        self._answers_head = request.method == b"HEAD"
        names = {name for name, _ in request.headers}
        if not names_a_path(request.target) or _is_ambiguous(request, names):
            await self._send_error_response(HTTPStatus.BAD_REQUEST)
            await self.send(Closed())
            return
        if b"upgrade" in names or not request.target.startswith(b"/"):
            request = _plain(request)
        await super()._create_stream(request)

    async def _serve_plain(self, request: PlainRequest) -> None:
        """Run the app on it, to the end of its answer. For h11 the connection stays idle."""
        await self.send(Updated(idle=False))
        self.stream = stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self._send_plain,
            STREAM_ID,
        )
        await stream.handle(
            Request(
                STREAM_ID, request.headers, "1.1", "POST", request.target, self.connection_state
            )
        )
        await stream.app_put({"type": "http.request", "body": request.body, "more_body": False})

    async def _send_plain(self, event: StreamEvent) -> None:
        """Called by the stream of a plain request with what the app sends."""
        if isinstance(event, Response):
            headers = [*event.headers, *self.config.response_headers("h11")]
            self._owed = float(dict(headers).get(b"content-length", "inf"))
            if self._owed == math.inf or self.context.terminated.is_set():
                headers.append((b"connection", b"close"))
            self._closes = (b"connection", b"close") in headers
            await self.send(ResponseHead(write_head(event.status_code, headers)))
        elif isinstance(event, Body):
            self._owed -= len(event.data)
            if self._owed < 0:
                raise ValueError("the body of an answer is longer than its Content-Length")
            await self.send(RawData(event.data) if self._owed else LastPiece(event.data))
        elif isinstance(event, EndBody):
            if 0 < self._owed < math.inf:
                raise ValueError("the body of an answer is shorter than its Content-Length")
            await self.send(RawData(b""))  # lets a head without a body go
        elif isinstance(event, StreamClosed):
            await self._close_stream()
            is_last = self._closes or self.context.terminated.is_set()
            await self.send(Closed() if is_last else Updated(idle=True))

    async def _send_error_response(self, status_code: int) -> None:
        """Called where h11 refuses what the client sent."""
        await self._refuse(
            HTTPStatus(status_code), "this is not a request of HTTP/1.1 that can be answered"
        )

    async def _refuse(self, status: HTTPStatus, detail: str) -> None:
        has_body = self.connection.our_state is h11.IDLE or not self._answers_head
        headers, body = refusal(status, detail)
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status, headers=headers))
        if has_body:
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if isinstance(event, h11.Response) and self.context.terminated.is_set():
            event = h11.Response(
                status_code=event.status_code,
                headers=[*event.headers.raw_items(), (b"connection", b"close")],
            )
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._tells_length = any(name == b"content-length" for name, _ in event.headers)
            await self.send(ResponseHead(data))
        else:
            await self.send(RawData(data))


def refusal(status: HTTPStatus, detail: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a problem after which the connection is closed."""
    body = problem_json(status, detail)
    headers = [
        (b"content-type", PROBLEM_CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    return headers, body


def _is_ambiguous(request: h11.Request, names: set[bytes]) -> bool:
    """Whether two readers might not agree on where it ends (RFC 9112, sections 6.1 and 6.3)."""
    return b"transfer-encoding" in names and (
        b"content-length" in names or request.http_version < b"1.1"
    )


def _plain(request: h11.Request) -> h11.Request:
    """The request without an Upgrade, and where its target is a URL, with that in two parts."""
    target, headers = request.target, [item for item in request.headers if item[0] != b"upgrade"]
    if not target.startswith(
        (b"/", b"*")
    ):  # its host counts, whatever Host says: RFC 9112, section 3.2.2
        url = urlsplit(target)
        headers = [item for item in headers if item[0] != b"host"] + [(b"host", url.netloc)]
        target = b"?".join(part for part in (url.path, url.query) if part)
    return h11.Request(
        method=request.method,
        target=target,
        http_version=request.http_version,
        headers=headers,
    )


def names_a_path(target: bytes) -> bool:
    """Whether Quart can find the path in it; it takes all forms of RFC 9112, section 3.2."""
    try:
        return urlsplit(target.decode("ascii")).path != ""
    except ValueError:
        return False
