"""Who may come in: a bearer token, where one is set (RFC 6750)."""

import hmac
from http import HTTPStatus

from quart import Quart, request

from service.web.problems import Problem

OPEN_PATHS = frozenset({"/health", "/health/ready"})


def require_token(app: Quart, token: str) -> None:
    """Let `app` answer 401 to whoever does not know `token`, on all but the health checks."""
    expected = token.encode()

    @app.before_request
    async def check_token() -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode("latin-1"), expected)
        if request.path not in OPEN_PATHS and not (matches and scheme.lower() == "bearer"):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "send a valid token in the header Authorization: Bearer …",
                headers={"WWW-Authenticate": 'Bearer realm="job-service"'},
            )
