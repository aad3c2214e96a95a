"""The request as it comes in, whose body is read when a route wants it, and not before."""

from typing import Any

from hypercorn.typing import ASGIReceiveCallable
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody


class _NoBody(TrioBody):
    def __init__(self, *_: object) -> None:
        """Nothing is to be kept: who wants the body takes it from `receive`."""


class IncomingRequest(TrioRequest):
    """Quart's request, with the way to its client instead of a body that somebody has read.

    Its method and path are as they were sent: Werkzeug would make `POST` of `post`, and `/jobs` of
    `//jobs`. There are no blueprints; Quart would look for them three times per request.
    """

    body_class: type[TrioBody] = _NoBody
    receive: ASGIReceiveCallable

    def __init__(self, method: str, scheme: str, path: str, *args: Any, **more: Any) -> None:
        super().__init__(method, scheme, path, *args, **more)
        self.method = method
        self.path = path

    @property
    def blueprints(self) -> list[str]:
        """Those that the route is on."""
        return []
