"""The Quart-Trio app: its routes, its errors, and its one way to report a bug of ours."""

from collections.abc import Callable
from types import TracebackType

from quart import has_request_context, request
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.sessions import NullSession
from quart.typing import ResponseReturnValue
from quart.wrappers import BaseRequestWebsocket, Request
from quart_trio import QuartTrio
from werkzeug.exceptions import NotFound
from werkzeug.routing import MapAdapter

from job_service.jobs.failure import describe, format_traceback
from job_service.jobs.queue import JobQueue
from job_service.jobs.registry import Registry
from job_service.jobs.snapshots import ScheduleView, WorkerView
from job_service.telemetry.events import Event, RequestFailed, utc_now
from job_service.telemetry.feed import Feed
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.asgi import RequestInOneTask
from job_service.web.body import IncomingRequest
from job_service.web.dashboard.pages import add_dashboard
from job_service.web.events import add_event_routes
from job_service.web.guards import Access, install_guards
from job_service.web.jobs import add_job_routes
from job_service.web.monitoring import add_monitoring_routes
from job_service.web.openapi.routes import add_documentation
from job_service.web.problems import install_error_handlers
from job_service.web.queries import check_query
from job_service.web.queue import add_queue_routes


class JobServiceApp(QuartTrio):
    """Tells an unhandled exception as a `request_failed` event instead of through `logging`."""

    asgi_http_class = RequestInOneTask
    request_class = IncomingRequest

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__(__name__, static_folder=None)
        self._emit = emit
        self._no_session = NullSession()

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Called by Quart to route a request; no route depends on the host we are called by."""
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    def request_context(self, request: Request) -> RequestContext:
        """Called by Quart, which would else open a session for each request, to save it after."""
        return RequestContext(self, request, self._no_session)

    async def dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseReturnValue:
        """Called by Quart with a request that was let in; a hook of its own would cost more."""
        incoming = (request_context or request_ctx).request
        if incoming.scope["path"].startswith("//"):  # in which Werkzeug sees a single slash
            raise NotFound
        if incoming.query_string:
            check_query(incoming)
        return await super().dispatch_request(request_context)

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
    add_job_routes(app, queue, registry)
    add_queue_routes(app, queue)
    add_monitoring_routes(app, read_metrics, list_workers, list_schedules, is_ready)
    add_event_routes(app, feed)
    add_documentation(app, registry, needs_token=bool(access.tokens))
    add_dashboard(app)
    return app
