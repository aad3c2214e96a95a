"""The service nursery: owns HTTP, the engine and their end, in the order of their nesting."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version

import trio
from msgspec import structs

from job_service.errors import ResourceFailed
from job_service.failures.groups import is_cancellation, leaves
from job_service.failures.report import describe, format_traceback
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.cancellation import CLEANUP_SECONDS
from job_service.jobs.running.engine import CLOSING_SECONDS, Engine
from job_service.jobs.running.forks import EndOfCopy, end_copy, let_go_of, release_in_children
from job_service.jobs.state.detail import ScheduleView, WorkerView
from job_service.settings import Settings
from job_service.shutdown import Shutdown
from job_service.telemetry.assembly import Telemetry
from job_service.telemetry.events import (
    LogLinesDropped,
    LogReopenFailed,
    ServiceDraining,
    ServiceStarted,
    ServiceStopped,
    utc_now,
)
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.app import create_app
from job_service.web.edge.listeners import Listener, listen_on_path, listen_on_port
from job_service.web.edge.server import CLOSE_SECONDS, Server
from job_service.web.edge.tls import Keys
from job_service.web.guards import LOCAL_HOSTS, Access

END_SECONDS = CLEANUP_SECONDS + CLOSING_SECONDS + 0.25  # for what is cut off then to get out
BACKSTOP_SECONDS = END_SECONDS + CLOSE_SECONDS + 1.0
LOG_CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunningService:
    """What a program that embeds the service gets of it: what HTTP offers, without HTTP."""

    url: str
    queue: JobQueue
    workers: Callable[[], list[WorkerView]]
    schedules: Callable[[], list[ScheduleView]]
    metrics: Callable[[], MetricsSnapshot]


class Supervisor:
    """Runs one service from its first line to its last. Raises CannotListen for keys of no use.

    The nurseries are nested as the service ends: the engine's inside the service's, so that HTTP
    outlives the workers and the drain can be watched until its last job. All are shielded from
    whoever runs them: a cancellation is one more way to be told to stop, and ends them in order.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        telemetry: Telemetry,
        shutdown: Shutdown,
        give_up: Callable[[], None],
        workload: Callable[[JobQueue], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._telemetry = telemetry
        self._shutdown = shutdown
        self._give_up = give_up
        self._workload = workload
        self._engine = Engine(
            registry,
            telemetry.emit,
            telemetry.logger,
            workers=settings.workers,
            queue_capacity=settings.queue_capacity,
            retain=settings.retain,
            queue_bytes=settings.queue_bytes,
            retain_bytes=settings.retain_bytes,
            max_abandoned_threads=settings.max_abandoned_threads,
        )
        app = create_app(
            self._engine.queue,
            registry=registry,
            read_metrics=self._read_metrics,
            list_workers=self._engine.workers,
            list_schedules=self._engine.schedules,
            feed=telemetry.feed,
            is_ready=lambda: self._engine.accepting,
            emit=telemetry.emit,
            access=_access(settings),
        )
        self._keys: Keys | None = None
        if settings.certfile is not None and settings.keyfile is not None:
            self._keys = Keys(settings.certfile, settings.keyfile)
        self._server = Server(
            app, telemetry.emit, max_connections=settings.max_connections, keys=self._keys
        )
        self._listeners: list[Listener] = []
        self._said_stopped = False

    async def run(
        self, task_status: trio.TaskStatus[RunningService] = trio.TASK_STATUS_IGNORED
    ) -> bool:
        """Serve until shutdown is requested or something crashes; gives `ended_well`.

        Raises CannotListen where the address can't be had, ResourceFailed where a resource can't be
        opened, and whatever crashed the service; all but the first are told in its last line.
        Cancelled, it stops as at a second signal: that takes END_SECONDS at most, and CLOSE_SECONDS
        if clients are owed answers.

        A handler that can't be ended keeps this call from returning. When all else is done,
        `give_up` is called then; it should end the process. `workload`, if there is one, submits
        jobs until the queue is closed, and is cancelled when the engine has ended.
        """
        self._listeners = await _listen(self._settings)
        self._token = trio.lowlevel.current_trio_token()
        release_in_children(self._leave_to_parent)
        try:
            with self._telemetry.watchdog:
                async with trio.open_nursery() as beside:
                    beside.start_soon(self._stop_when_cancelled)
                    with trio.CancelScope(shield=True):  # it ends by itself, and in order
                        await self._serve(task_status)
                    beside.cancel_scope.cancel()
        except BaseException as error:
            with trio.CancelScope(shield=True):
                await self._telemetry.sink.flush_off_loop()
            if (failed := _resource_failed(error)) is not None:
                self._say_stopped("crashed", failed, format_traceback(failed.__cause__ or failed))
                raise failed from failed.__cause__
            reason = self._engine.outcome if is_cancellation(error) else "crashed"
            self._say_stopped(reason, error, format_traceback(error))
            raise
        self._say_stopped(self._engine.outcome)
        return self.ended_well

    @property
    def ended_well(self) -> bool:
        """Whether it neither crashed nor abandoned a job."""
        no_job_lost = self._telemetry.metrics.snapshot().jobs_abandoned == 0
        return no_job_lost and self._engine.outcome != "crashed"

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._shutdown.cancel()

    async def _serve(self, task_status: trio.TaskStatus[RunningService]) -> None:
        async with trio.open_nursery() as beside:
            end_bound: trio.CancelScope = await beside.start(self._bound_the_end)
            async with trio.open_nursery() as service_nursery:
                service_nursery.start_soon(self._watch_log)
                await service_nursery.start(self._server.serve, self._listeners)
                async with trio.open_nursery() as engine_nursery:
                    engine_nursery.start_soon(self._conduct_shutdown)
                    await engine_nursery.start(self._run_engine, engine_nursery.cancel_scope)
                    running = self._running_service()
                    self._say_started(running.url)
                    task_status.started(running)
                    if self._workload is not None:
                        engine_nursery.start_soon(self._workload, self._engine.queue)
                end_bound.cancel()
                await self._close_http()
                await self._telemetry.sink.flush_off_loop()
                service_nursery.cancel_scope.cancel()

    def _running_service(self) -> RunningService:
        return RunningService(
            self._listeners[0].url("http" if self._keys is None else "https"),
            self._engine.queue,
            self._engine.workers,
            self._engine.schedules,
            self._read_metrics,
        )

    async def _run_engine(
        self, others: trio.CancelScope, task_status: trio.TaskStatus[None]
    ) -> None:
        await self._engine.run(task_status)
        others.cancel()
        if not self._engine.started:  # stopped while a resource was being opened
            await trio.sleep_forever()

    async def _conduct_shutdown(self) -> None:
        try:
            await self._shutdown.requested.wait()
            if self._shutdown.reason:
                self._say_draining()
                self._engine.drain(self._settings.grace)
                with trio.move_on_after(self._settings.grace):
                    await self._shutdown.insisted.wait()
            if self._shutdown.insisted.is_set():
                self._engine.stop(self._shutdown.stop_reason)
        finally:  # the grace is over, or something outside the engine has crashed
            self._engine.jobs_must_end.set()

    async def _bound_the_end(self, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await self._engine.jobs_must_end.wait()
            await trio.sleep(END_SECONDS)
            # Some handler swallows its cancellation, and Trio has no other way to end it.
            self._engine.abandon_the_rest(self._engine.outcome)
            with trio.move_on_after(CLOSE_SECONDS + 1):  # after a crash of it nothing is closed
                await self._close_http()
            await self._telemetry.sink.flush_off_loop()
            self._say_stopped(self._engine.outcome)
            self._give_up()

    async def _close_http(self) -> None:
        self._telemetry.feed.close()  # else its streams would have to be cut off in the end
        await self._server.close()

    def close_the_books(self) -> None:
        """Abandon what has not ended and say `service_stopped`, where the loop is blocked.

        The one method that another thread may call, and only when the process is to end at once.
        """
        self._telemetry.watchdog.conclude()
        self._engine.abandon_the_rest("loop_blocked")
        for listener in self._listeners:
            listener.remove()
        self._telemetry.sink.flush()
        self._say_stopped("loop_blocked")

    def reload_files(self) -> None:
        """Open the log file and load the certificate anew, soon. Made for signal handlers."""
        if self._settings.log_file is not None:
            self._telemetry.sink.reopen()
        if self._keys is not None:
            self._keys.reload_soon()

    def _leave_to_parent(self) -> None:
        """In a child that a handler has forked: hold no client, no port and no thread."""
        listening = [listener.socket.fileno() for listener in self._listeners]
        let_go_of([*listening, *self._server.descriptors()])
        self._telemetry.sink.write_at_once()
        self._telemetry.emit.tell_only(end_copy)
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._token:
            trio.lowlevel.add_instrument(EndOfCopy())

    async def _watch_log(self) -> None:
        while True:
            await trio.sleep(LOG_CHECK_SECONDS)
            self._count_dropped_lines()
            if (error := self._telemetry.sink.take_reopen_error()) is not None:
                path, said = str(error.filename), describe(error)
                self._telemetry.emit(LogReopenFailed(timestamp=utc_now(), path=path, error=said))

    def _read_metrics(self) -> MetricsSnapshot:
        self._count_dropped_lines()
        return self._telemetry.metrics.snapshot(jobs_bytes=self._engine.jobs_bytes)

    def _count_dropped_lines(self) -> None:
        """Tell those who listen of lost lines, but for the log, which tells it where the gap is."""
        lines = self._telemetry.sink.take_dropped()
        if lines:
            event = LogLinesDropped(timestamp=utc_now(), lines=lines)
            self._telemetry.metrics.observe(event)
            self._telemetry.feed.observe(event)

    def _say_started(self, url: str) -> None:
        self._telemetry.emit(
            ServiceStarted(
                timestamp=utc_now(),
                version=version("trio-job-service"),
                pid=os.getpid(),
                url=url,
                workers=self._settings.workers,
                queue_capacity=self._settings.queue_capacity,
                job_types=self._registry.names,
            )
        )

    def _say_draining(self) -> None:
        metrics = self._telemetry.metrics.snapshot()
        self._telemetry.emit(
            ServiceDraining(
                timestamp=utc_now(),
                reason=self._shutdown.reason,
                jobs_pending=metrics.jobs_pending,
                jobs_in_progress=metrics.jobs_in_progress,
                grace_seconds=self._settings.grace,
            )
        )

    def _say_stopped(
        self, reason: str, error: BaseException | None = None, traceback: str = ""
    ) -> None:
        if self._said_stopped:
            return
        self._said_stopped = True
        fields = structs.asdict(self._read_metrics())
        fields = {name: fields[name] for name in ServiceStopped.__struct_fields__ if name in fields}
        if reason == "crashed" and error is not None:
            fields["level"] = "error"
            fields["error"] = describe(error)
            fields["traceback"] = traceback
        self._telemetry.emit(ServiceStopped(timestamp=utc_now(), reason=reason, **fields))
        self._telemetry.sink.seal()


def _resource_failed(error: BaseException) -> ResourceFailed | None:
    return next((leaf for leaf in leaves(error) if isinstance(leaf, ResourceFailed)), None)


async def _listen(settings: Settings) -> list[Listener]:
    if settings.unix is not None:
        return listen_on_path(settings.unix)
    return await listen_on_port(settings.host, settings.port)


def _access(settings: Settings) -> Access:
    hosts = None
    is_open_to_browsers = settings.is_local and not (settings.tokens or settings.unix)
    if settings.allow_host or is_open_to_browsers:
        hosts = LOCAL_HOSTS | {settings.host, *settings.allow_host}
    return Access(settings.tokens, hosts, frozenset(settings.allow_origin))
