"""Who may come in: bearer tokens (RFC 6750), and what keeps pages of other sites out."""

import hmac
import ipaddress
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from quart import Quart, Response, request

from job_service.web.empty import empty_response
from job_service.web.problems import Problem

OPEN_PATHS: Final = frozenset({"/health", "/health/ready"})
DASHBOARD: Final = "/dashboard/"  # where its files are; they hold no data
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(
    rf"(\[[0-9A-Fa-f:.]+\]|{_LABEL}(\.{_LABEL})*\.?)?(:[0-9]*)?"  # RFC 9110, section 7.2
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

    @app.before_request
    async def check_access() -> Response | None:
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise Problem(HTTPStatus.BAD_REQUEST, "the Host header is no host")
        if request.path in OPEN_PATHS:
            return None
        if access.hosts is not None:
            _check_host(host, access.hosts)
        origin = request.headers.get("Origin")
        if origin is not None:
            if request.method == "OPTIONS" and origin in access.origins:
                return _preflight(origin)
            if request.method not in _SAFE_METHODS:
                _check_origin(origin, host, access.origins)
        if tokens and needs_token(request.path):
            _check_token(request.headers.get("Authorization", ""), tokens)
        return None

    if access.origins:
        _let_pages_read(app, access.origins)


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
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "send a valid token in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": 'Bearer realm="job-service"'},
        )


def _check_host(host: str, allowed: frozenset[str]) -> None:
    name = _name(host)
    if name in allowed or _is_loopback(name):
        return
    if not host and request.http_version == "1.0":  # which no browser speaks
        return
    raise Problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        "this service is not known by the name in the Host header; see --allow-host",
    )


def _check_origin(origin: str, host: str, allowed: frozenset[str]) -> None:
    if origin not in allowed and not (host and origin.partition("://")[2] == host):
        raise Problem(
            HTTPStatus.FORBIDDEN, "pages of this origin may change nothing here; see --allow-origin"
        )


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
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
