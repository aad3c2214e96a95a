"""Who may call: bearer tokens (RFC 6750), and what keeps the pages of other sites out."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from quart import Response, request

from job_service.access.tokens import EVERYBODY, Token, Tokens
from job_service.web.asgi import IncomingRequest
from job_service.web.problems import Problem, malformed
from job_service.web.refusals import FOREIGN_HOST, FOREIGN_ORIGIN, NO_HOST, NO_TOKEN
from job_service.web.responses import empty_response

OPEN_PATHS: Final = frozenset({"/health", "/health/ready"})
DOCS: Final = "/docs"  # without a token, it is a page that asks for one
DASHBOARD: Final = "/dashboard/"  # the path of its files, which hold no data
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_NAME = rf"\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*\.?"
_HOST = re.compile(rf"({_NAME})?(?::([0-9]{{0,5}}))?")  # RFC 9110, section 7.2
_ORIGIN = re.compile(rf"(https?)://({_NAME})(?::([0-9]{{1,5}}))?")  # RFC 6454, section 6.2
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# If one of these came twice, one reader might take the first and another one the second.
_SINGLE_HEADERS: Final = frozenset(
    {b"host", b"authorization", b"origin", b"content-type", b"last-event-id"}
)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 9.2.1
_SENDABLE_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
)
_READABLE_HEADERS = "ETag, Idempotent-Replayed, Link, Location, Retry-After, WWW-Authenticate"


@dataclass(frozen=True, slots=True)
class Access:
    """Which requests may come in.

    `tokens`: if there are any, a request must have one of them. `hosts`: the names by which the
    service may be called; None lets any name pass. Without this check and without a token, a page
    whose own name was made to point to 127.0.0.1 could call the service (DNS rebinding).
    `origins`: other sites whose pages may call.
    """

    tokens: Tokens = field(default_factory=Tokens, repr=False)
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()


def needs_token(path: str) -> bool:
    """Whether a call of this path needs a token, if there are tokens."""
    return path not in OPEN_PATHS and path not in ("/", DOCS) and not path.startswith(DASHBOARD)


class Guards:
    """Refuses requests that may not come in. Health checks are open to everybody."""

    def __init__(self, access: Access) -> None:
        self._hosts = access.hosts
        self._tokens = access.tokens
        self._origins = frozenset(map(_as_browsers_write, access.origins))

    def check(self, incoming: IncomingRequest) -> Response | None:
        """Raise Problem if the request may not come in; gives the answer to a preflight.

        What the caller may do, once it is in, is in `incoming.token`.
        """
        fields = incoming.fields
        if incoming.repeats_headers:
            _check_repetitions([name for name, _ in incoming.scope["headers"]])
        host = fields.get(b"host", b"").decode("latin-1")
        if not _HOST.fullmatch(host):
            raise Problem(NO_HOST)
        if incoming.path in OPEN_PATHS:
            return None
        if self._hosts is not None:
            _check_host(host, self._hosts, incoming)
        if b"origin" in fields:
            origin = fields[b"origin"].decode("latin-1")
            if incoming.method == "OPTIONS" and origin in self._origins:
                return _preflight(origin)
            if incoming.method not in _SAFE_METHODS:
                self._check_origin(origin, host, incoming)
        sends_token = incoming.path == DOCS and b"authorization" in fields
        if not self._tokens:
            incoming.token = EVERYBODY
        elif sends_token or needs_token(incoming.path):
            incoming.token = _caller(fields.get(b"authorization", b""), self._tokens)
        return None

    async def let_pages_read(self, response: Response) -> Response:
        """Called by Quart after each request, if pages of other origins may call."""
        response.vary.add("Origin")
        if (origin := request.headers.get("Origin")) in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _READABLE_HEADERS
        return response

    def _check_origin(self, origin: str, host: str, incoming: IncomingRequest) -> None:
        if origin not in self._origins and not _is_ours(origin, host, incoming):
            raise Problem(FOREIGN_ORIGIN)


def _check_repetitions(names: Sequence[bytes]) -> None:
    for name in _SINGLE_HEADERS:
        if names.count(name) > 1:
            raise malformed(f"the header {name.decode().title()} is given more than once")


def _caller(authorization: bytes, tokens: Tokens) -> Token:
    """The token that a client has sent. Raises Problem, 401."""
    scheme, _, given = authorization.partition(b" ")
    token = tokens.find(given.strip())
    if scheme.lower() != b"bearer" or token is None:
        raise Problem(NO_TOKEN)
    return token


def _check_host(host: str, allowed: frozenset[str], incoming: IncomingRequest) -> None:
    name = _name(host)
    if name in allowed or _is_loopback(name):
        return
    if not host and incoming.http_version == "1.0":  # which no browser speaks
        return
    raise Problem(FOREIGN_HOST)


def _as_browsers_write(origin: str) -> str:
    """The same origin in small letters, and without the default port of its scheme."""
    parts = _ORIGIN.fullmatch(origin.lower())
    if parts is None or parts[3] is None or int(parts[3]) != _DEFAULT_PORTS[parts[1]]:
        return origin.lower()
    return f"{parts[1]}://{parts[2]}"


def _is_ours(origin: str, host: str, incoming: IncomingRequest) -> bool:
    """Whether a page of this origin came from the host that it calls (RFC 6454, section 5).

    A port that is left out is the scheme's. If nobody knows whether a client of a proxy speaks TLS,
    the scheme in its Origin is believed.
    """
    page, called = _ORIGIN.fullmatch(origin), _HOST.fullmatch(host)
    if page is None or called is None:
        return False
    scheme, name, port = page.groups()
    default = _DEFAULT_PORTS[scheme]
    called_name, called_port = called[1] or "", int(called[2] or default)
    if scheme == "http" and (called_port == _DEFAULT_PORTS["https"] or _came_by_tls(incoming)):
        return False
    return (name.lower(), int(port or default)) == (called_name.lower(), called_port)


def _came_by_tls(incoming: IncomingRequest) -> bool:
    """Whether the client certainly speaks TLS, with us or with a proxy in between."""
    # Several proxies may each have added theirs. One that saw TLS is enough, because this can only
    # refuse more.
    schemes = ",".join(incoming.headers.getlist("X-Forwarded-Proto")).lower().split(",")
    return "https" in (incoming.scheme, *map(str.strip, schemes))


def _preflight(origin: str) -> Response:
    """The answer that lets a browser make a call for a page of another site (Fetch, CORS)."""
    return empty_response(
        HTTPStatus.NO_CONTENT,
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, PATCH",
            "Access-Control-Allow-Headers": _SENDABLE_HEADERS,
            "Access-Control-Max-Age": "600",
        },
    )


def _name(host: str) -> str:
    """The name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # an IPv4Address has none
    return (mapped or address).is_loopback  # Python 3.11 does not see through the mapping
