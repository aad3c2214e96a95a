"""How the app meets one HTTP request: in one task, from its head to the end of its answer."""

from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseStartEvent,
    HTTPScope,
)
from quart import Quart, Response, request
from quart.utils import encode_headers
from quart.wrappers.response import DataBody
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.datastructures import Headers

from job_service.access.tokens import Token
from job_service.web.responses import empty_response

if TYPE_CHECKING:
    from werkzeug.local import LocalProxy


class _NoBody(TrioBody):
    def __init__(self, *_: object) -> None:
        """Keep nothing: a route that wants the body takes it from `receive`."""


class IncomingRequest(TrioRequest):
    """Quart's request, with a way to read the body instead of a body that is there already.

    Its method and path are as the client sent them: Werkzeug would make `POST` of `post`, and
    `/jobs` of `//jobs`. There are no blueprints; Quart would look for them three times per request.

    `fields` has the headers once more, by their names in small letters: a header that may come once
    is found there at once, and Werkzeug would search for it. `token` is the one that the client has
    sent, once it is checked; None if the path needs none.
    """

    body_class: type[TrioBody] = _NoBody

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        pairs = list(scope["headers"])
        self.fields = dict(pairs)
        self.repeats_headers = len(self.fields) < len(pairs)
        headers = Headers()
        for name, value in pairs:
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
        self.token: Token | None = None

    @property
    def caller(self) -> Token:
        """Who calls, in a call that needs a role."""
        if self.token is None:
            raise RuntimeError("nobody has asked for the token of this call")
        return self.token

    @property
    def blueprints(self) -> list[str]:
        """The blueprints that the route belongs to."""
        return []


def present_request() -> IncomingRequest:
    """The request that this task answers. Quart's `request` looks it up anew at each use."""
    return cast("LocalProxy[IncomingRequest]", request)._get_current_object()  # noqa: SLF001


async def _push_nothing(path: str, headers: Headers) -> None:
    """We have nothing to push."""


class RequestInOneTask:
    """Quart's way from a request to its response, without a second task to watch the client.

    Only routes that stream or wait would notice that a client has gone. The edge cancels these: it
    ends all tasks of a connection together with the connection.
    """

    def __init__(self, app: Quart, scope: HTTPScope) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handle the request and send its response."""
        if self._scope["path"] == "*" and self._scope["method"] == "OPTIONS":
            response = empty_response(HTTPStatus.NO_CONTENT, {"Allow": _methods_of(self._app)})
        else:
            request = IncomingRequest(self._scope, receive)
            response = cast("Response", await self._app.handle_request(request))
        await _send_response(send, response, with_body=self._scope["method"] != "HEAD")


def _methods_of(app: Quart) -> str:
    """The methods that any of its paths takes."""
    return ", ".join(sorted({m for rule in app.url_map.iter_rules() for m in rule.methods or ()}))


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
