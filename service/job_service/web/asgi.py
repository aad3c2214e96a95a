"""How the app meets one HTTP request: in one task, from its head to the end of its answer."""

from http import HTTPStatus
from typing import cast

from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseStartEvent,
    HTTPScope,
)
from quart import Quart, Response
from quart.utils import encode_headers
from quart.wrappers.response import DataBody

from job_service.web.body import IncomingRequest
from job_service.web.empty import empty_response


class RequestInOneTask:
    """Quart's way from a request to its response, without a second task to watch the client.

    No route but those that stream or wait would notice that a client has gone, and these are
    cancelled by the edge, which ends all tasks of a connection with it.
    """

    def __init__(self, app: Quart, scope: HTTPScope) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handle the request and send its response."""
        if self._scope["path"] == "*" and self._scope["method"] == "OPTIONS":
            allowed = {"Allow": "GET, HEAD, OPTIONS, POST"}
            response = empty_response(HTTPStatus.NO_CONTENT, allowed)
        else:
            request = IncomingRequest(self._scope, receive)
            response = cast("Response", await self._app.handle_request(request))
        await _send_response(send, response, with_body=self._scope["method"] != "HEAD")


async def _send_response(send: ASGISendCallable, response: Response, *, with_body: bool) -> None:
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": encode_headers(response.headers),
    }
    await send(start)
    last = b""
    if with_body and isinstance(response.response, DataBody):
        last = response.response.data
    elif with_body:
        async with response.response as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": last, "more_body": False})
