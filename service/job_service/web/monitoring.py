"""The routes for those who operate the service: metrics, history, workers, notices."""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Struct
from quart import Quart, Response

from job_service.access.tokens import Role
from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.state.views import WorkerView
from job_service.telemetry.history import SECONDS, History
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.telemetry.notices import KEPT
from job_service.web.asgi import present_request
from job_service.web.queries import Query, takes
from job_service.web.responses import fresh_json

_OF_THE_PAST: Final = f"a whole number of seconds from 1 to {SECONDS}"


class HistoryQuery(Query, frozen=True):
    """The query of `GET /history`."""

    seconds: Annotated[
        int, constraint(_OF_THE_PAST, description="How far back to go.", ge=1, le=SECONDS)
    ] = SECONDS
    step: Annotated[
        int, constraint(_OF_THE_PAST, description="Seconds of one step.", ge=1, le=SECONDS)
    ] = 60


class NoticesQuery(Query, frozen=True):
    """The query of `GET /notices`."""

    limit: Annotated[
        int,
        constraint(
            f"a whole number from 1 to {KEPT}", description="How many at most.", ge=1, le=KEPT
        ),
    ] = KEPT


class Caller(Struct, omit_defaults=True):
    """What the token of this request may do, and its name. Without tokens, everybody may do all."""

    role: Role
    name: str | None = None


def add_monitoring_routes(
    app: Quart,
    read_metrics: Callable[[], MetricsSnapshot],
    history: History,
    read_workers: Callable[[], list[WorkerView]],
) -> None:
    """Metrics, history, notices, workers, and what the caller may do. They change nothing."""

    @app.get("/metrics")
    async def get_metrics() -> Response:
        return fresh_json(read_metrics())

    @app.get("/history")
    @takes(HistoryQuery)
    async def get_history(query: HistoryQuery) -> Response:
        return fresh_json(history.read(query.seconds, query.step))

    @app.get("/notices")
    @takes(NoticesQuery)
    async def list_notices(query: NoticesQuery) -> Response:
        return fresh_json(history.notices.last(query.limit))

    @app.get("/workers")
    async def list_workers() -> Response:
        return fresh_json(read_workers())

    @app.get("/whoami")
    async def get_caller() -> Response:
        caller = present_request().caller
        return fresh_json(Caller(caller.role, caller.name))
