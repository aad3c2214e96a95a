"""The Quart-Trio app: its routes, its errors, and its one way to report a bug of ours."""

import sys
from collections.abc import Callable

import trio
from quart import has_request_context, request
from quart.routing import QuartRule
from quart.wrappers import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from job_service.failures.report import describe, format_traceback
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import ScheduleView, WorkerView
from job_service.telemetry.events import Event, RequestFailed, utc_now
from job_service.telemetry.feed import Feed
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.asgi import RequestInOneTask
from job_service.web.dashboard.pages import add_dashboard
from job_service.web.event_stream import add_event_routes
from job_service.web.guards import Access, install_guards
from job_service.web.job_routes import add_job_routes
from job_service.web.monitoring import add_monitoring_routes
from job_service.web.openapi.routes import add_documentation
from job_service.web.problems import install_error_handlers
from job_service.web.queries import check_query
from job_service.web.queue_routes import add_queue_routes

FAILURE_LINE_SECONDS = 1.0
MAX_PATH_CHARS = 1_000


class MatchedRule(QuartRule):
    """A route that is matched, and that nobody asks to build a URL.

    Werkzeug compiles a function for that, and it would be half of what an app costs.
    """

    def _compile_builder(
        self,
        append_unknown: bool = True,  # noqa: ARG002
    ) -> Callable[..., tuple[str, str]]:
        """Called by Werkzeug when the rule is bound to its map."""
        return _build_no_url


def _build_no_url(*_: object, **__: object) -> tuple[str, str]:
    raise NotImplementedError("URLs are written out here, not built from routes")


class JobServiceApp(QuartTrio):
    """Tells an unhandled exception as a `request_failed` event instead of through `logging`.

    One a second: who has found a request that fails could else flood the log with tracebacks.
    """

    url_rule_class = MatchedRule  # type: ignore[assignment]  # Quart's own says the same of its
    asgi_http_class = RequestInOneTask  # type: ignore[assignment]  # Quart takes any ASGIHTTPProtocol

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__(__name__, static_folder=None)
        self._emit = emit
        self._next_failure_line = 0.0

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Called by Quart to route a request; no route depends on the host we are called by."""
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    async def check_target(self) -> None:
        """Called before each request. Raises HTTPException for what routing has misread.

        Routing takes `//jobs` for `/jobs`, and `post` for `POST`; both are something else.
        """
        if request.path.startswith("//"):
            raise NotFound
        rule = request.url_rule
        if rule is not None and rule.methods and request.method not in rule.methods:
            path = self.url_map.bind("", path_info=request.path)
            raise MethodNotAllowed(path.allowed_methods())
        if request.query_string:
            check_query(request)

    def log_exception(self, *_: object) -> None:
        """Called by Quart while it handles what a route raised and no error handler knows.

        What it is called with differs between the versions of Quart.
        """
        error = sys.exception()
        is_due = trio.current_time() >= self._next_failure_line
        if error is not None and has_request_context() and is_due:
            self._next_failure_line = trio.current_time() + FAILURE_LINE_SECONDS
            self._emit(
                RequestFailed(
                    timestamp=utc_now(),
                    method=request.method,
                    path=request.path[:MAX_PATH_CHARS],
                    error=describe(error),
                    traceback=format_traceback(error),
                )
            )


def create_app(
    queue: JobQueue,
    *,
    registry: Registry,
    read_metrics: Callable[[], MetricsSnapshot],
    list_workers: Callable[[], list[WorkerView]],
    list_schedules: Callable[[], list[ScheduleView]],
    feed: Feed,
    is_ready: Callable[[], bool],
    emit: Callable[[Event], None],
    access: Access,
) -> QuartTrio:
    """The HTTP API on `queue`. Nothing in it is global: each call makes an app of its own."""
    app = JobServiceApp(emit)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.merge_slashes = False  # or //jobs would be redirected, in HTML
    install_error_handlers(app)
    install_guards(app, access)
    app.before_request(app.check_target)
    add_job_routes(app, queue, registry)
    add_queue_routes(app, queue)
    add_monitoring_routes(app, read_metrics, list_workers, list_schedules, is_ready)
    add_event_routes(app, feed)
    add_documentation(app, registry, needs_token=bool(access.tokens))
    add_dashboard(app)
    return app
