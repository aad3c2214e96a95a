"""Hypercorn's HTTP/2, without WebSocket, and with the ends of its streams in order."""

import contextlib
from typing import Any

import trio
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, PriorityUpdated, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol

from job_service.web.edge.http1 import names_a_path

SEND_SECONDS = 15.0

_PIECE_BYTES = 16 * 1024


class HTTP2(H2Protocol):
    """Hypercorn's HTTP/2 (RFC 9113) between one client and the app.

    A stream is reset when its client takes longer than SEND_SECONDS to let a piece of it out.
    """

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
        if isinstance(event, Body):
            for start in range(0, len(event.data), _PIECE_BYTES):
                piece = event.data[start : start + _PIECE_BYTES]
                await self._send_piece(Body(event.stream_id, piece))
        else:
            await super().stream_send(event)
        if self.closed:
            await trio.lowlevel.checkpoint()  # what comes from now on meets no wait

    async def _send_piece(self, piece: Body) -> None:
        """Send on when this is out: no stream keeps more than a piece, whatever is read of it."""
        await super().stream_send(piece)
        buffer = self.stream_buffers.get(piece.stream_id)
        if buffer is None:  # reset meanwhile: its app is cancelled as soon as it lets itself be
            await trio.lowlevel.checkpoint()
            return
        with trio.CancelScope(deadline=trio.current_time() + SEND_SECONDS) as in_time:
            await buffer.drain()
        if in_time.cancelled_caught:
            await self._give_up(piece.stream_id)

    async def _give_up(self, stream_id: int) -> None:
        with contextlib.suppress(ProtocolError):
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        await self._forget(stream_id)
        await self._close_stream(stream_id)
        await self._flush()

    async def _forget(self, stream_id: int) -> None:
        """Drop what is still to be sent on a stream; nobody waits for it any more."""
        if stream_id in self.stream_buffers:
            await self.stream_buffers[stream_id].close()
            self.priority.unblock(stream_id)
            await self.has_data.set()

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        if stream_id not in self.stream_buffers:
            self._sent_whole.unpark_all()

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            await self._handle_event(event)
        await self._flush()

    async def _handle_event(self, event: Event) -> None:
        if isinstance(event, PriorityUpdated):
            return  # which RFC 9113, section 5.3.2, no longer asks for
        if isinstance(event, DataReceived) and event.stream_id not in self.streams:
            # It was answered before its body had come; what comes still counts for flow control.
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, RequestReceived) and self.context.terminated.is_set():
            # The client may try it again elsewhere (RFC 9113, section 8.7).
            self.connection.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
        else:
            if isinstance(event, StreamReset):
                await self._forget(event.stream_id)
            await super()._handle_events([event])

    async def _create_stream(self, request: RequestReceived) -> None:
        fields = dict(request.headers or [])
        method, path = fields.get(b":method", b""), fields.get(b":path", b"")
        if method == b"CONNECT" or not (method.isascii() and names_a_path(path)):
            self.connection.reset_stream(request.stream_id, ErrorCodes.PROTOCOL_ERROR)
        else:
            await super()._create_stream(request)
