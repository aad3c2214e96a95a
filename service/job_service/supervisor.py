"""The service nursery: owns HTTP and the engine, and ends them in the order of their nesting."""

from collections.abc import Awaitable, Callable

import trio

from job_service.errors import ResourceFailed, StoreRefused
from job_service.failures.exception_groups import is_cancellation, leaves
from job_service.failures.report import describe, format_traceback
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.cancellation import CLEANUP_SECONDS
from job_service.jobs.running.engine import CLOSING_SECONDS, SETTLING_SECONDS, Engine
from job_service.jobs.running.forks import EndOfCopy, end_copy, let_go_of, release_in_children
from job_service.process.shutdown import Shutdown, crash_of_trio
from job_service.running_service import RunningService
from job_service.service_events import ServiceEvents
from job_service.service_http import ServiceHTTP
from job_service.settings import Settings
from job_service.store_choice import make_store
from job_service.telemetry.assembly import Telemetry
from job_service.web.edge.server import CLOSE_SECONDS

END_SECONDS = CLEANUP_SECONDS + CLOSING_SECONDS + 0.25  # the rest for tasks to unwind
BACKSTOP_SECONDS = END_SECONDS + SETTLING_SECONDS + CLOSE_SECONDS + 1.0


class Supervisor:
    """Runs one service from its first line to its last.

    Raises CannotListen if the certificate or its key can't be used.

    The nurseries are nested in the order of their end. The engine's is inside the service's, so
    HTTP outlives the workers, and a drain can be watched until its last job. All are shielded from
    whoever runs the service: a cancellation is a request to stop, and they end in order.
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
        self._store = make_store(settings, telemetry.emit)
        self._engine = Engine(
            registry,
            self._store,
            telemetry.emit,
            telemetry.logger,
            workers=settings.workers,
            max_abandoned_threads=settings.max_abandoned_threads,
            watch_asyncio=telemetry.watch_asyncio,
            starts_per_second=telemetry.history.starts_per_second,
        )
        self._events = ServiceEvents(
            telemetry,
            settings,
            lambda: self._engine.jobs_bytes,
            lambda: self._engine.oldest_ready,
        )
        self._http = ServiceHTTP(
            settings, registry, telemetry, self._engine, self._store, self._events
        )

    async def run(
        self, task_status: trio.TaskStatus[RunningService] = trio.TASK_STATUS_IGNORED
    ) -> bool:
        """Serve until shutdown is requested or something crashes; gives `ended_well`.

        Raises CannotListen if the address can't be had, StoreRefused if the store can't be used,
        ResourceFailed if a resource can't be opened, and the error of a crash. The last line of the
        log tells all but the first. If this call is cancelled, the service stops as at a second
        signal. That takes END_SECONDS at most, and CLOSE_SECONDS more if answers are owed to
        clients.

        A handler that can't be ended keeps this call from returning. When all else is done,
        `give_up` is called, which should end the process. `workload`, if any, submits jobs until
        the queue is closed; it is cancelled when the engine has ended.
        """
        await self._http.listen()
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
                await self._http.stop_listening()
                await self._telemetry.sink.flush_off_loop()
            if (failed := _why_it_could_not_start(error)) is not None:
                self._say_not_started(failed)
                raise failed from failed.__cause__
            crash = crash_of_trio() if is_cancellation(error) else error
            if crash is None:
                self._events.stopped(self._engine.outcome)
            else:
                self.say_crashed(crash)
            raise
        self._events.stopped(self._engine.outcome)
        return self.ended_well

    @property
    def ended_well(self) -> bool:
        """Whether the service neither crashed nor abandoned a job."""
        no_job_lost = self._telemetry.metrics.snapshot().jobs_abandoned == 0
        return no_job_lost and self._engine.outcome != "crashed"

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._shutdown.cancel("cancelled" if crash_of_trio() is None else "crashed")

    async def _serve(self, task_status: trio.TaskStatus[RunningService]) -> None:
        async with self._store.opened(), trio.open_nursery() as beside:
            end_bound: trio.CancelScope = await beside.start(self._bound_the_end)
            async with trio.open_nursery() as service_nursery:
                service_nursery.start_soon(self._events.look_each_second)
                await service_nursery.start(self._http.serve)
                async with trio.open_nursery() as engine_nursery:
                    engine_nursery.start_soon(self._conduct_shutdown)
                    await engine_nursery.start(self._run_engine, engine_nursery.cancel_scope)
                    running = self._running_service()
                    self._events.started(running.url, self._registry.names)
                    task_status.started(running)
                    if self._workload is not None:
                        engine_nursery.start_soon(self._workload, self._engine.queue)
                end_bound.cancel()
                await self._http.close()
                await self._telemetry.sink.flush_off_loop()
                service_nursery.cancel_scope.cancel()

    def _running_service(self) -> RunningService:
        return RunningService(
            self._http.url,
            self._engine.queue,
            self._engine.workers,
            self._engine.queue.schedules.views,
            self._events.read_metrics,
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
                self._events.draining(self._shutdown.reason)
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
            # Some handler does not end although it is cancelled, and Trio can't end it.
            self._engine.abandon_the_rest(self._engine.outcome)
            await self._engine.settle()
            with trio.move_on_after(CLOSE_SECONDS + 1):  # a server that crashed never closes
                await self._http.close()
            await self._telemetry.sink.flush_off_loop()
            self._events.stopped(self._engine.outcome)
            self._give_up()

    def say_crashed(self, error: BaseException) -> None:
        """Say the last line, unless it has been said."""
        self._events.stopped("crashed", describe(error), format_traceback(error))

    def _say_not_started(self, why: ResourceFailed | StoreRefused) -> None:
        """Say the last line. It has a traceback only if the user's own code has raised an error."""
        is_theirs = isinstance(why, ResourceFailed)
        traceback = format_traceback(why.__cause__ or why) if is_theirs else ""
        self._events.stopped("not_started", describe(why), traceback)

    def end_without_loop(self) -> None:
        """Abandon all jobs that have not ended, and say so in the last line: the loop is blocked.

        Another thread may call it, but only if the process is to end at once.
        """
        self._telemetry.watchdog.conclude()
        self._engine.end_without_loop("loop_blocked")
        self._http.remove_sockets()
        self._telemetry.sink.flush()
        self._events.stopped("loop_blocked")

    def reload_files(self) -> None:
        """Open the log file again, and read the certificate and the tokens anew, soon.

        Signal handlers may call it.
        """
        if self._settings.log_file is not None:
            self._telemetry.sink.reopen()
        self._http.reload_files()

    def _leave_to_parent(self) -> None:
        """In a child process that a handler forked: hold no connection, no port and no lock."""
        let_go_of(self._http.descriptors())
        self._telemetry.sink.write_at_once()
        self._telemetry.emitter.call_only(end_copy)
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._token:
            trio.lowlevel.add_instrument(EndOfCopy())


def _why_it_could_not_start(error: BaseException) -> ResourceFailed | StoreRefused | None:
    kinds = ResourceFailed, StoreRefused
    return next((leaf for leaf in leaves(error) if isinstance(leaf, kinds)), None)
