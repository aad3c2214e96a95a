"""The request as it comes in, whose body is read when a route wants it, and not before."""

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.datastructures import Headers


class _NoBody(TrioBody):
    def __init__(self, *_: object) -> None:
        """Nothing is to be kept: who wants the body takes it from `receive`."""


class IncomingRequest(TrioRequest):
    """Quart's request, with the way to its client instead of a body that somebody has read.

    Its method and path are as they were sent: Werkzeug would make `POST` of `post`, and `/jobs` of
    `//jobs`. There are no blueprints; Quart would look for them three times per request.
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
        self.method = scope["method"]  # Werkzeug would make it upper case
        self.path = scope["path"]  # and drop the slashes before it
        self.receive = receive

    @property
    def blueprints(self) -> list[str]:
        """Those that the route is on."""
        return []


async def _push_nothing(path: str, headers: Headers) -> None:
    """We have nothing to push."""
