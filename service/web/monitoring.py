"""The routes for those who operate the service: its metrics, workers, schedules and health."""

from collections.abc import Callable
from http import HTTPStatus

import msgspec
from quart import Quart, Response

from service.jobs.snapshots import ScheduleView, WorkerView
from service.telemetry.metrics import MetricsSnapshot
from service.web.problems import RETRY_AFTER_DRAINING_SECONDS, Problem


def add_monitoring_routes(
    app: Quart,
    read_metrics: Callable[[], MetricsSnapshot],
    list_workers: Callable[[], list[WorkerView]],
    list_schedules: Callable[[], list[ScheduleView]],
    is_ready: Callable[[], bool],
) -> None:
    """`/metrics`, `/workers`, `/schedules`, `/health`, `/health/ready`; they only read."""

    @app.get("/metrics")
    async def metrics() -> Response:
        return _uncached(msgspec.json.encode(read_metrics()))

    @app.get("/workers")
    async def workers() -> Response:
        return _uncached(msgspec.json.encode(list_workers()))

    @app.get("/schedules")
    async def schedules() -> Response:
        return _uncached(msgspec.json.encode(list_schedules()))

    @app.get("/health")
    async def health() -> Response:
        return _uncached(b'{"status":"ok"}')

    @app.get("/health/ready")
    async def ready() -> Response:
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
