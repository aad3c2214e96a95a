"""Hypercorn's HTTP/2, without WebSocket, and unmoved by what comes for a stream that has ended."""

import contextlib
from typing import Any

import h2.config
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hypercorn.protocol.h2 import H2Protocol

from service.web.edge.http1 import names_a_path


class HTTP2(H2Protocol):
    """Hypercorn's HTTP/2 (RFC 9113) between one client and the app."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
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

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if (
                isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams
            ):  # answered before its body had come; what comes still counts for flow control
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            else:
                await super()._handle_events([event])
        await self._flush()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        fields = dict(request.headers or [])
        method, path = fields.get(b":method", b""), fields.get(b":path", b"")
        if not (method.isascii() and names_a_path(path)):
            self.connection.reset_stream(request.stream_id, ErrorCodes.PROTOCOL_ERROR)
        else:
            await super()._create_stream(request)
