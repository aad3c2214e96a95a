"""Who may come in: bearer tokens (RFC 6750), and what keeps pages of other sites out."""

import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from quart import Quart, Response, request

from job_service.web.problems import Problem, malformed
from job_service.web.refusals import FOREIGN_HOST, FOREIGN_ORIGIN, NO_HOST, NO_TOKEN
from job_service.web.responses import empty_response

OPEN_PATHS: Final = frozenset({"/health", "/health/ready"})
DASHBOARD: Final = "/dashboard/"  # where its files are; they hold no data
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_NAME = rf"\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*\.?"
_HOST = re.compile(rf"({_NAME})?(?::([0-9]{{0,5}}))?")  # RFC 9110, section 7.2
_ORIGIN = re.compile(rf"(https?)://({_NAME})(?::([0-9]{{1,5}}))?")  # RFC 6454, section 6.2
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Of two of these, one reader might take the first and another one the second.
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
    """The terms on which requests are let in.

    `tokens`: one of them must be sent, where there are any. `hosts`: the names by which the
    service may be addressed; None lets any name pass. Where a service asks for no token, a page
    that made its own name point to 127.0.0.1 could talk to it otherwise (DNS rebinding).
    `origins`: the sites other than our own whose pages may call.
    """

    tokens: tuple[str, ...] = field(default=(), repr=False)
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()


def needs_token(path: str) -> bool:
    """Whether a token is asked for at this path, where there are tokens."""
    return path not in OPEN_PATHS and path != "/" and not path.startswith(DASHBOARD)


def install_guards(app: Quart, access: Access) -> None:
    """Let `app` turn away who may not come in, but for the health checks, which are open."""
    tokens = [token.encode() for token in access.tokens]
    origins = frozenset(map(_as_browsers_write, access.origins))

    @app.before_request
    async def check_access() -> Response | None:
        _check_repetitions(request.scope["headers"])
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise Problem(NO_HOST)
        if request.path in OPEN_PATHS:
            return None
        if access.hosts is not None:
            _check_host(host, access.hosts)
        origin = request.headers.get("Origin")
        if origin is not None:
            if request.method == "OPTIONS" and origin in origins:
                return _preflight(origin)
            if request.method not in _SAFE_METHODS:
                _check_origin(origin, host, origins)
        if tokens and needs_token(request.path):
            _check_token(request.headers.get("Authorization", ""), tokens)
        return None

    if origins:
        _let_pages_read(app, origins)


def _check_repetitions(headers: Iterable[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in headers]
    if len(set(names)) < len(names):
        for name in _SINGLE_HEADERS:
            if names.count(name) > 1:
                raise malformed(f"the header {name.decode().title()} is given more than once")


def _let_pages_read(app: Quart, origins: frozenset[str]) -> None:
    @app.after_request
    async def name_origin(response: Response) -> Response:
        response.vary.add("Origin")
        if (origin := request.headers.get("Origin")) in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _READABLE_HEADERS
        return response


def _check_token(authorization: str, tokens: list[bytes]) -> None:
    scheme, _, given = authorization.partition(" ")
    given_bytes = given.strip().encode("latin-1")
    # Each is compared, so that the time tells nothing, not even which of them is right.
    matches = [hmac.compare_digest(given_bytes, token) for token in tokens]
    if scheme.lower() != "bearer" or not any(matches):
        raise Problem(NO_TOKEN)


def _check_host(host: str, allowed: frozenset[str]) -> None:
    name = _name(host)
    if name in allowed or _is_loopback(name):
        return
    if not host and request.http_version == "1.0":  # which no browser speaks
        return
    raise Problem(FOREIGN_HOST)


def _check_origin(origin: str, host: str, allowed: frozenset[str]) -> None:
    if origin not in allowed and not _is_ours(origin, host):
        raise Problem(FOREIGN_ORIGIN)


def _as_browsers_write(origin: str) -> str:
    """The same origin in small letters, and without a port that is its scheme's own."""
    parts = _ORIGIN.fullmatch(origin.lower())
    if parts is None or parts[3] is None or int(parts[3]) != _DEFAULT_PORTS[parts[1]]:
        return origin.lower()
    return f"{parts[1]}://{parts[2]}"


def _is_ours(origin: str, host: str) -> bool:
    """Whether a page of this origin came from where the request is sent to (RFC 6454, section 5).

    A port that is left out is the scheme's. Whether a client of a proxy speaks TLS can't always be
    known: then the scheme that the Origin tells is believed.
    """
    page, called = _ORIGIN.fullmatch(origin), _HOST.fullmatch(host)
    if page is None or called is None:
        return False
    scheme, name, port = page.groups()
    default = _DEFAULT_PORTS[scheme]
    called_name, called_port = called[1] or "", int(called[2] or default)
    if scheme == "http" and (called_port == _DEFAULT_PORTS["https"] or _came_by_tls()):
        return False
    return (name.lower(), int(port or default)) == (called_name.lower(), called_port)


def _came_by_tls() -> bool:
    """Whether the client is known to speak TLS, with us or with the proxy that it came through."""
    # Each proxy may have told its own; one that saw TLS is enough, as this can only refuse more.
    told = ",".join(request.headers.getlist("X-Forwarded-Proto")).lower().split(",")
    return "https" in (request.scheme, *map(str.strip, told))


def _preflight(origin: str) -> Response:
    """What a browser asks before it lets a page of another site make a call (Fetch, CORS)."""
    return empty_response(
        HTTPStatus.NO_CONTENT,
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST",
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
    return (mapped or address).is_loopback  # which Python 3.11 does not see through
