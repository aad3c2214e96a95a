"""The Quart-Trio app: its routes, its errors, and its one way to report a bug of ours."""

from collections.abc import Callable
from types import TracebackType

from quart import has_request_context, request
from quart_trio import QuartTrio

from service.jobs.failure import describe, format_traceback
from service.jobs.queue import JobQueue
from service.jobs.registry import Registry
from service.telemetry.events import Event, RequestFailed, utc_now
from service.telemetry.metrics import MetricsSnapshot
from service.web.guards import require_token
from service.web.jobs import job_routes
from service.web.openapi.routes import add_documentation
from service.web.operations import operations_routes
from service.web.problems import install_error_handlers

MAX_BODY_BYTES = 1024 * 1024


class JobServiceApp(QuartTrio):
    """Tells an unhandled exception as a `request_failed` event instead of through `logging`."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__(__name__, static_folder=None)
        self._emit = emit

    def log_exception(
        self,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Called by Quart where a route raised what no error handler knows."""
        error = exception_info[1]
        if error is not None and has_request_context():
            self._emit(
                RequestFailed(
                    timestamp=utc_now(),
                    method=request.method,
                    path=request.path,
                    error=describe(error),
                    traceback=format_traceback(error),
                )
            )


def create_app(
    queue: JobQueue,
    *,
    registry: Registry,
    read_metrics: Callable[[], MetricsSnapshot],
    is_ready: Callable[[], bool],
    emit: Callable[[Event], None],
    token: str | None = None,
) -> QuartTrio:
    """The HTTP API on `queue`. Nothing in it is global: each call makes an app of its own."""
    app = JobServiceApp(emit)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.merge_slashes = False  # or //jobs would be redirected, in HTML
    install_error_handlers(app)
    if token is not None:
        require_token(app, token)
    app.register_blueprint(job_routes(queue))
    app.register_blueprint(operations_routes(read_metrics, is_ready))
    add_documentation(app, registry, needs_token=token is not None)
    return app
