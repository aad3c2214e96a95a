"""A client of HTTP/2 that may do whatever it likes with its streams, windows and frames."""

import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.connection
import h2.events
import trio
from h2.config import H2Configuration
from h2.settings import SettingCodes
from werkzeug.datastructures import Headers

from tests.web.api import Answer
from tests.web.wire import PATIENCE_SECONDS

Fields = Iterable[tuple[bytes | str, bytes | str]]


@dataclass
class Stream:
    """What has come for one stream."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


class H2Client:
    """One connection; all that waits here is bounded.

    `connection` is the client's side of the protocol, for tests that want to bend it; `send`
    takes raw bytes. One that does not `read` leaves the server's windows as they are.
    """

    def __init__(
        self, stream: trio.abc.Stream, *, reads: bool = True, window: int = 65_535
    ) -> None:
        self.connection = h2.connection.H2Connection(
            H2Configuration(
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.streams: dict[int, Stream] = defaultdict(Stream)
        self.goodbye: h2.events.ConnectionTerminated | None = None
        self.server_settings: dict[int, int] = {}
        self._stream = stream
        self._reads = reads
        self._window = window

    async def start(self) -> None:
        """Send the preface, and read the server's."""
        self.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: self._window})
        hello = self.connection.data_to_send()
        self.connection.initiate_connection()
        preface = self.connection.data_to_send()
        await self.send(preface + hello)
        with trio.fail_after(PATIENCE_SECONDS):
            while not self.server_settings:
                await self.read_on()

    async def send(self, data: bytes) -> None:
        """Send these bytes."""
        with trio.fail_after(PATIENCE_SECONDS):
            await self._stream.send_all(data)

    async def flush(self) -> None:
        """Send what the client's side of the protocol has to say."""
        await self.send(self.connection.data_to_send())

    async def open(
        self,
        path: str | bytes = "/hello",
        *more: tuple[bytes | str, bytes | str],
        method: str = "GET",
        end: bool = True,
    ) -> int:
        """Begin a request; gives its stream."""
        return await self.open_raw(
            [
                (":method", method),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", path),
                *more,
            ],
            end=end,
        )

    async def open_raw(self, fields: Fields, *, end: bool = True) -> int:
        """Begin a request with these header fields."""
        stream_id = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream_id, list(fields), end_stream=end)
        await self.flush()
        return stream_id

    async def upload(self, stream_id: int, data: bytes, *, end: bool = True) -> None:
        """Send a body, as the server's windows allow."""
        with trio.fail_after(PATIENCE_SECONDS):
            while data:
                size = min(
                    self.connection.local_flow_control_window(stream_id),
                    self.connection.max_outbound_frame_size,
                    len(data),
                )
                if size == 0:
                    await self.read_on()
                    continue
                self.connection.send_data(stream_id, data[:size])
                data = data[size:]
                await self.flush()
        if end:
            self.connection.end_stream(stream_id)
            await self.flush()

    async def answer(self, stream_id: int) -> Answer:
        """The answer on this stream, to its end."""
        stream = self.streams[stream_id]
        with trio.fail_after(PATIENCE_SECONDS):
            while not stream.ended:
                assert stream.reset is None, f"the stream was reset: {stream}"
                await self.read_on()
        return Answer(int(stream.headers[":status"]), stream.headers, stream.body)

    async def ask(
        self, path: str = "/hello", *more: tuple[str, str], method: str = "GET"
    ) -> Answer:
        """Send a request without a body and take its answer."""
        return await self.answer(await self.open(path, *more, method=method))

    async def reset_of(self, stream_id: int) -> int:
        """The error code with which the server resets this stream."""
        stream = self.streams[stream_id]
        with trio.fail_after(PATIENCE_SECONDS):
            while stream.reset is None:
                await self.read_on()
        return stream.reset

    async def until_closed(self) -> None:
        """Read until the server closes the connection."""
        with trio.fail_after(PATIENCE_SECONDS):
            try:
                while True:
                    await self.read_on()
            except (EOFError, trio.BrokenResourceError):
                return

    async def read_on(self) -> None:
        """Take what comes next. Raises EOFError where nothing does."""
        data = await self._stream.receive_some()
        if not data:
            raise EOFError("the server closed the connection")
        for event in self.connection.receive_data(bytes(data)):
            self._take(event)
        if self.connection.state_machine.state is not h2.connection.ConnectionState.CLOSED:
            await self.flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                for name, value in event.headers:
                    self.streams[event.stream_id].headers.add(name.decode(), value.decode())
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self._reads:
                    self.connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = event.error_code
            case h2.events.RemoteSettingsChanged():
                self.server_settings |= {
                    code: change.new_value for code, change in event.changed_settings.items()
                }
            case h2.events.ConnectionTerminated():
                self.goodbye = event


@asynccontextmanager
async def open_h2(port: int, tls: ssl.SSLContext, **options: Any) -> AsyncIterator[H2Client]:
    """A client's connection, which the client keeps for the whole block."""
    stream = await open_tls(port, tls)
    assert stream.selected_alpn_protocol() == "h2"
    client = H2Client(stream, **options)
    await client.start()
    try:
        yield client
    finally:
        with trio.move_on_after(PATIENCE_SECONDS) as closing:
            await stream.transport_stream.aclose()
        assert not closing.cancelled_caught


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
