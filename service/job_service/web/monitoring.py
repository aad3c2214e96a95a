"""The routes for those who operate the service: its metrics, workers, schedules and health."""

from collections.abc import Callable
from http import HTTPStatus

import msgspec
from quart import Quart, Response

from job_service.jobs.state.detail import ScheduleView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.problems import RETRY_AFTER_DRAINING_SECONDS, Problem


def add_monitoring_routes(
    app: Quart,
    read_metrics: Callable[[], MetricsSnapshot],
    read_workers: Callable[[], list[WorkerView]],
    read_schedules: Callable[[], list[ScheduleView]],
    is_ready: Callable[[], bool],
) -> None:
    """`/metrics`, `/workers`, `/schedules`, `/health`, `/health/ready`; they only read."""

    @app.get("/metrics")
    async def get_metrics() -> Response:
        return _uncached(msgspec.json.encode(read_metrics()))

    @app.get("/workers")
    async def list_workers() -> Response:
        return _uncached(msgspec.json.encode(read_workers()))

    @app.get("/schedules")
    async def list_schedules() -> Response:
        return _uncached(msgspec.json.encode(read_schedules()))

    @app.get("/health")
    async def check_health() -> Response:
        return _uncached(b'{"status":"ok"}')

    @app.get("/health/ready")
    async def check_readiness() -> Response:
        if not is_ready():
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the service is starting or draining",
                kind="not-ready",
                headers={"Retry-After": str(RETRY_AFTER_DRAINING_SECONDS)},
            )
        return _uncached(b'{"status":"ok"}')


def _uncached(body: bytes) -> Response:
    return Response(body, headers={"Cache-Control": "no-store"}, content_type="application/json")
