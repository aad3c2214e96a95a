"""The Quart-Trio app: its routes, its checks of each request, and how it reports a bug of ours."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec

import trio
from quart import Response, has_request_context, request
from quart.routing import QuartRule
from quart.wrappers import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from job_service.failures.report import describe, format_traceback
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.views import WorkerView
from job_service.telemetry.events import Event, RequestFailed, utc_now
from job_service.telemetry.feed import Feed
from job_service.telemetry.history import History
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.asgi import RequestInOneTask, present_request
from job_service.web.dashboard.pages import add_dashboard
from job_service.web.event_stream import add_event_routes
from job_service.web.group_routes import add_group_routes
from job_service.web.guards import Access, Guards
from job_service.web.health import add_health_routes
from job_service.web.job_actions import add_job_actions
from job_service.web.job_routes import add_job_routes
from job_service.web.monitoring import add_monitoring_routes
from job_service.web.openapi.routes import add_documentation
from job_service.web.overview import add_overview_route
from job_service.web.problems import install_error_handlers
from job_service.web.queries import check_query
from job_service.web.queue_routes import add_queue_routes
from job_service.web.roles import require_role
from job_service.web.schedule_routes import add_schedule_routes
from job_service.web.submissions import Batches
from job_service.web.uploads import Uploads

FAILURE_LINE_SECONDS = 1.0
MAX_PATH_CHARS = 1_000

P = ParamSpec("P")


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
    """Emits an unhandled exception as a `request_failed` event, instead of using `logging`.

    One a second at most, so that nobody who finds such a request can flood the log.
    """

    url_rule_class = MatchedRule  # type: ignore[assignment]  # Quart's own says the same of its
    asgi_http_class = RequestInOneTask  # type: ignore[assignment]  # Quart takes any ASGIHTTPProtocol

    def __init__(self, emit: Callable[[Event], None], access: Access) -> None:
        super().__init__(__name__, static_folder=None)
        self._guards = Guards(access)
        self._emit = emit
        self._next_failure_line = 0.0
        self.before_request(self.check_request)
        if access.origins:
            self.after_request(self._guards.let_pages_read)

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Called by Quart to route a request. No route depends on the host."""
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    def ensure_async(self, func: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
        """Called by Quart for each function of ours. All are async; Quart would look each time."""
        return func

    async def check_request(self) -> Response | None:
        """Called by Quart before each request; gives the answer to a preflight.

        Raises Problem or HTTPException. Routing takes `//jobs` for `/jobs`, and `post` for `POST`;
        both are something else.
        """
        incoming = present_request()
        if (preflight := self._guards.check(incoming)) is not None:
            return preflight
        if incoming.path.startswith("//"):
            raise NotFound
        rule = incoming.url_rule
        if rule is not None and rule.methods and incoming.method not in rule.methods:
            path = self.url_map.bind("", path_info=incoming.path)
            raise MethodNotAllowed(path.allowed_methods())
        if rule is not None and incoming.method != "OPTIONS":
            require_role(rule.endpoint, incoming.token)
            if incoming.query_string:
                check_query(self.view_functions[rule.endpoint])
        return None

    def log_exception(self, *_: object) -> None:
        """Called by Quart while it handles an exception that has no error handler.

        Its arguments differ between the versions of Quart.
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


async def put_below(root_path: str, response: Response) -> Response:
    """Called by Quart after each request: routes write where things are as from the app's root."""
    for name in ("Location", "Link"):
        if name in response.headers:
            response.headers[name] = response.headers[name].replace("/", f"{root_path}/", 1)
    return response


def create_app(
    queue: JobQueue,
    *,
    registry: Registry,
    read_metrics: Callable[[], MetricsSnapshot],
    history: History,
    list_workers: Callable[[], list[WorkerView]],
    feed: Feed,
    is_ready: Callable[[], bool],
    emit: Callable[[Event], None],
    access: Access,
    store_trouble: Callable[[], str | None] = lambda: None,
    why_idle: Callable[[], str | None] = lambda: None,
    root_path: str = "",
) -> QuartTrio:
    """The HTTP API on `queue`. Nothing in it is global: each call makes an app of its own.

    `store_trouble` says why the store can't keep anything now, if it can't, and `why_idle` why jobs
    that are ready do not start here, if they don't. `root_path` is the path at which a proxy has
    this app, which sees its requests without it.
    """
    app = JobServiceApp(emit, access)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.merge_slashes = False  # or //jobs would be redirected, in HTML
    install_error_handlers(app, root_path)
    if root_path:
        app.after_request(partial(put_below, root_path))
    uploads = Uploads()
    batches = Batches(queue, uploads)
    add_job_routes(app, queue, registry, uploads, batches)
    add_job_actions(app, queue, uploads)
    add_group_routes(app, queue, batches)
    add_queue_routes(app, queue)
    add_monitoring_routes(app, read_metrics, history, list_workers)
    add_schedule_routes(app, queue.schedules)
    add_health_routes(app, is_ready, store_trouble, why_idle)
    add_overview_route(app, queue, read_metrics, list_workers)
    add_event_routes(app, feed, access.tokens)
    add_documentation(app, registry, needs_token=bool(access.tokens), root_path=root_path)
    add_dashboard(app)
    return app
