"""Both ends of a socket: clients that send any bytes they like, and an app that misbehaves."""

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from werkzeug.datastructures import Headers

from job_service.web.edge.server import Server
from tests.conftest import Record
from tests.web.api import Answer

PATIENCE_SECONDS = 5.0


class Wire:
    """One connection to the server; all that waits here is bounded."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._unread = b""

    async def send(self, data: bytes) -> None:
        """Send these bytes."""
        with trio.fail_after(PATIENCE_SECONDS):
            await self._stream.send_all(data)

    async def send_eof(self) -> None:
        """Close the client's half of the connection."""
        assert isinstance(self._stream, trio.SocketStream)
        await self._stream.send_eof()

    async def answer(self) -> Answer:
        """The next answer, which is to have a Content-Length."""
        with trio.fail_after(PATIENCE_SECONDS):
            while b"\r\n\r\n" not in self._unread:
                await self._read_on()
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            status_line, *lines = head.decode("latin1").split("\r\n")
            headers = Headers()
            for line in lines:
                name, _, value = line.partition(": ")
                headers.add(name, value)
            length = int(headers.get("Content-Length", "0"))
            while len(self._unread) < length:
                await self._read_on()
        body, self._unread = self._unread[:length], self._unread[length:]
        return Answer(int(status_line.split(" ")[1]), headers, body)

    async def ask(self, path: str, *headers: str, method: str = "GET") -> Answer:
        """Send a request without a body and take its answer."""
        await self.send(request(path, *headers, method=method))
        return await self.answer()

    def reset_when_closed(self) -> None:
        """Reset the connection, as if the client's machine had lost it."""
        assert isinstance(self._stream, trio.SocketStream)
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def closes_within(self, seconds: float) -> bool:
        """Whether the server closes the connection so soon."""
        with trio.move_on_after(seconds):
            await self.until_closed()
            return True
        return False

    async def until_closed(self) -> bytes:
        """All that comes until the server closes the connection."""
        with trio.fail_after(PATIENCE_SECONDS):
            try:
                while True:
                    await self._read_on()
            except (EOFError, trio.BrokenResourceError):
                return self._unread

    async def until_eof(self) -> bytes:
        """As `until_closed`, but the connection must not be reset."""
        with trio.fail_after(PATIENCE_SECONDS):
            while data := await self._stream.receive_some():
                self._unread += data
        return self._unread

    async def _read_on(self) -> None:
        data = await self._stream.receive_some()
        if not data:
            raise EOFError(f"closed after {self._unread!r}")
        self._unread += data


@dataclass(frozen=True)
class Served:
    """A server at work, and what it said."""

    server: Server
    record: Record
    port: int

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Wire]:
        """A client's connection, which the client keeps for the whole block."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            yield Wire(stream)


async def open_tls(port: int, tls: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """A connection on which both sides have agreed upon TLS."""
    stream = trio.SSLStream(
        await trio.open_tcp_stream("127.0.0.1", port),
        tls,
        server_hostname="localhost",
        https_compatible=True,
    )
    try:
        with trio.fail_after(PATIENCE_SECONDS):
            await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """The bytes of a request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode("latin1")


def plain_post(path: str = "/jobs", body: bytes = b'{"type": "echo"}') -> bytes:
    """The bytes of a request as most submissions are."""
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request(path, *headers, method="POST") + body


class Stage:
    """An ASGI app whose every path acts out something; the events tell how far it got."""

    def __init__(self) -> None:
        self.entered = trio.Event()
        self.release = trio.Event()
        self.left = trio.Event()
        self.sent_bytes = 0

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Act out the path of the request."""
        assert scope["type"] == "http"
        self.entered.set()
        try:
            await getattr(self, f"_{scope['path'][1:]}")(receive, send)
        finally:
            self.left.set()

    async def _hello(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, b"hello")

    async def _slow(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await self.release.wait()
        await answer(send, b"at last")

    async def _epilogue(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, b"done")
        await trio.lowlevel.checkpoint()
        self.release.set()

    async def _upload(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        message: Any = {"more_body": True}
        while message["more_body"]:
            message = await receive()
        await answer(send, b"thank you")

    async def _flood(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            self.sent_bytes += 65536
            assert self.sent_bytes < 100 * 2**20, "what nobody reads must not be produced forever"

    async def _slow_upload(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        message: Any = {"more_body": True}
        while message["more_body"]:
            message = await receive()
        await self.release.wait()
        await answer(send, b"at last")

    async def _early(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, b"no need to read on")

    async def _large(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, bytes(1_000_000))

    async def _drip(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await trio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})

    async def _grudge(self, _: ASGIReceiveCallable, __: ASGISendCallable) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("the app fell over while it was cancelled")

    async def _stream(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        await trio.sleep_forever()

    async def _crash(self, _: ASGIReceiveCallable, __: ASGISendCallable) -> None:
        raise RuntimeError("the app fell over")

    async def _lie(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, b"longer than promised", length=5)

    async def _boast(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, b"shorter than promised", length=50)

    async def _silence(self, _: ASGIReceiveCallable, __: ASGISendCallable) -> None:
        pass

    async def _unmeasured(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body in (b"as it ", b"comes"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer(send: ASGISendCallable, body: bytes, length: int | None = None) -> None:
    """Answer a request with a body that has, or is said to have, this length."""
    promised = str(len(body) if length is None else length).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", promised)],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
