"""The body of a request, read from the client when a route wants it, and not before."""

from http import HTTPStatus
from typing import cast

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from quart import request
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.datastructures import Headers

from job_service.web.problems import Problem


class _NoBody(TrioBody):
    def __init__(self, *_: object) -> None:
        """Nothing is to be kept: `read_body` hands the body over."""


class IncomingRequest(TrioRequest):
    """Quart's request, with the way to its client instead of a body that somebody has read.

    There are no blueprints; Quart would look for them three times per request.
    """

    body_class: type[TrioBody] = _NoBody

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        headers = Headers()
        for name, value in scope["headers"]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        super().__init__(
            scope["method"],
            scope["scheme"],
            scope["path"],
            scope["query_string"],
            headers,
            root_path="",
            http_version=scope["http_version"],
            scope=scope,
            send_push_promise=_push_nothing,
        )
        self.receive = receive

    @property
    def blueprints(self) -> list[str]:
        """Those that the route is on."""
        return []


async def read_body(max_bytes: int) -> bytes:
    """The whole body of the present request. How long it may take is the edge's to say.

    Raises Problem: 413 where it is over `max_bytes`, and 408 where its end does not come.
    """
    incoming = cast("IncomingRequest", request)
    if (incoming.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    more = True
    while more:
        message = await incoming.receive()
        if message["type"] != "http.request":
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come to its end")
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {max_bytes:,} bytes")


async def _push_nothing(path: str, headers: Headers) -> None:
    """We have nothing to push."""
