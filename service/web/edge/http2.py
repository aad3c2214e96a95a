"""Hypercorn's HTTP/2, without WebSocket, and with the ends of its streams in order."""

import contextlib
from typing import Any

import trio
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol

from service.web.edge.http1 import names_a_path


class HTTP2(H2Protocol):
    """Hypercorn's HTTP/2 (RFC 9113) between one client and the app."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sent_whole = trio.lowlevel.ParkingLot()
        self.connection.local_settings = Settings(  # leaves out the offer of WebSocket, RFC 8441
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: self.config.h2_max_concurrent_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: self.config.h2_max_header_list_size,
            },
        )

    async def say_goodbye(self) -> None:
        """Tell the client that the connection ends here (GOAWAY)."""
        with contextlib.suppress(ProtocolError):  # they have said so themselves
            self.connection.close_connection()
            await self._flush()

    async def stream_send(self, event: StreamEvent) -> None:
        """Called by a stream with what the app sends."""
        if isinstance(event, StreamClosed):
            # Its last bytes are out, but their end may not be, and a GOAWAY would swallow it.
            while event.stream_id in self.stream_buffers and not self.closed:
                await self._sent_whole.park()
        await super().stream_send(event)
        if isinstance(event, Body) and (buffer := self.stream_buffers.get(event.stream_id)):
            await buffer.drain()  # one piece a stream is enough to keep, whatever the client reads
        if self.closed:
            await trio.lowlevel.checkpoint()  # what comes from now on meets no wait

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        if stream_id not in self.stream_buffers:
            self._sent_whole.unpark_all()

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            await self._handle_event(event)
        await self._flush()

    async def _handle_event(self, event: Event) -> None:
        if isinstance(event, DataReceived) and event.stream_id not in self.streams:
            # It was answered before its body had come; what comes still counts for flow control.
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, RequestReceived) and self.context.terminated.is_set():
            # The client may try it again elsewhere (RFC 9113, section 8.7).
            self.connection.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
        else:
            if isinstance(event, StreamReset) and event.stream_id in self.stream_buffers:
                await self.stream_buffers[event.stream_id].close()  # nobody waits for it any more
            await super()._handle_events([event])

    async def _create_stream(self, request: RequestReceived) -> None:
        fields = dict(request.headers or [])
        method, path = fields.get(b":method", b""), fields.get(b":path", b"")
        if method == b"CONNECT" or not (method.isascii() and names_a_path(path)):
            self.connection.reset_stream(request.stream_id, ErrorCodes.PROTOCOL_ERROR)
        else:
            await super()._create_stream(request)
