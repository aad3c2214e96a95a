"""How the app meets one HTTP request: in one task, from its head to the end of its answer."""

from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPResponseStartEvent
from quart import Response
from quart.utils import encode_headers
from quart.wrappers.response import DataBody
from quart_trio.asgi import TrioASGIHTTPConnection

from job_service.web.empty import empty_response

if TYPE_CHECKING:
    from job_service.web.body import IncomingRequest


class RequestInOneTask(TrioASGIHTTPConnection):
    """Quart-Trio's way from a request to its response, without a second task to watch the client.

    No route but those that stream or wait would notice that a client has gone, and these are
    cancelled by the edge, which ends all tasks of a connection with it.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handle the request and send its response."""
        if self.scope["path"] == "*" and self.scope["method"] == "OPTIONS":
            allowed = {"Allow": "GET, HEAD, OPTIONS, POST"}
            await _send_at_once(send, empty_response(HTTPStatus.NO_CONTENT, allowed))
            return
        request = cast("IncomingRequest", self._create_request_from_scope(send))
        request.receive = receive
        response = await self.app.handle_request(request)
        if not isinstance(response, Response):
            await self._send_response(send, response)
        elif isinstance(response.response, DataBody) or request.method == "HEAD":
            await _send_at_once(send, response)
        else:
            await self._send_response(send, response)


async def _send_at_once(send: ASGISendCallable, response: Response) -> None:
    body = response.response
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": encode_headers(response.headers),
    }
    await send(start)
    await send(
        {
            "type": "http.response.body",
            "body": body.data if isinstance(body, DataBody) else b"",
            "more_body": False,
        }
    )
