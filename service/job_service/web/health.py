"""The routes for load balancers and orchestrators: whether the service is alive, and ready."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from quart import Quart, Response

from job_service.web.error_refusals import STORE_UNAVAILABLE
from job_service.web.problems import Problem
from job_service.web.refusals import NOT_READY
from job_service.web.responses import fresh_json


class Health(Struct):
    """The service is alive, or ready."""

    status: Literal["ok"] = "ok"


def add_health_routes(
    app: Quart,
    is_ready: Callable[[], bool],
    store_trouble: Callable[[], str | None],
    why_idle: Callable[[], str | None],
) -> None:
    """`/health`, and `/health/ready`. They need no token, and change nothing."""

    @app.get("/health")
    async def check_health() -> Response:
        return fresh_json(Health())

    @app.get("/health/ready")
    async def check_readiness() -> Response:
        if not is_ready():
            raise Problem(NOT_READY)
        if store_trouble() is not None:  # which the log tells; this call needs no token
            raise Problem(STORE_UNAVAILABLE)
        if (why := why_idle()) is not None:
            raise Problem(NOT_READY, why)
        return fresh_json(Health())
