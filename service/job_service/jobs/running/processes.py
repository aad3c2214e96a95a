"""Runs handlers in processes of their own, which are killed when their attempt is interrupted."""

import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from job_service.jobs.registration.context import JobContext, facts_of
from job_service.jobs.running.forks import STOP_SIGNALS
from job_service.jobs.running.in_process import call_here, live_with_the_service, send_records
from job_service.jobs.running.process_log import FromProcesses

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger
    from trio_parallel import WorkerContext

IDLE_EXIT_SECONDS = 0.5


class ProcessDied(RuntimeError):
    """The process of an attempt ended before its handler had."""


def leave_deleted_folder() -> None:
    """Go to a directory that exists: in a deleted one no other process could be started."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


class ShelteredProcess(SpawnProcess):
    """A process that no signal to all processes can end while it is still starting.

    Its handler may start processes of its own, so it is no daemon, whatever its maker wants: those
    may have no children. It leads a group of its own, which is killed as a whole.
    """

    def __init__(self, *args: Any, to_service: socket.socket, **others: Any) -> None:
        super().__init__(*args, **{**others, "daemon": False})
        self.to_service = to_service

    def start(self) -> None:
        """Start it, with the signals held back that `live_with_the_service` deals with."""
        leave_deleted_folder()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            # The tracker ignores the others, and lets them through here; of this one it would die.
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        """In the process: all that it is for."""
        send_records(self.to_service)
        super().run()

    def kill(self) -> None:
        """Kill it, with all that its handler has started and that has not left its group."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        super().kill()


class ShelteredSpawn(SpawnContext):
    """How processes are started here; they say what they have to say on `to_service`."""

    def __init__(self, to_service: socket.socket) -> None:
        super().__init__()
        self._to_service = to_service

    def Process(  # type: ignore[override]  # noqa: N802  # a class there; it is only called
        self, *args: Any, **others: Any
    ) -> ShelteredProcess:
        """A new one, not yet started."""
        return ShelteredProcess(*args, to_service=self._to_service, **others)


class Processes:
    """The processes of one engine; see `open_processes`."""

    def __init__(self, context: "WorkerContext", said: FromProcesses) -> None:
        import trio

        self._context = context
        self._said = said
        # There is one process per worker at the most, and a job that waits here would be
        # `processing` without being run.
        self._limiter = trio.CapacityLimiter(math.inf)

    async def call(
        self,
        handler: Callable[..., Any],
        payload: bytes,
        context: JobContext,
        resources: Mapping[str, Callable[[], Any]],
    ) -> Any:
        """What `handler` returns, or raises, in a process; killed when this is cancelled.

        What it logs and how far it has come goes to `context`. `resources` says how those are
        opened that it takes. Raises ProcessDied if the process ends by itself.
        """
        import trio_parallel

        try:
            with self._said.listening(context):
                return await self._context.run_sync(
                    call_here,
                    handler,
                    payload,
                    facts_of(context),
                    resources,
                    kill_on_cancel=True,
                    limiter=self._limiter,
                )
        except trio_parallel.BrokenWorkerError as error:
            process = error.args[-1]
            raise ProcessDied(_how_it_died(process.exitcode)) from None


@asynccontextmanager
async def open_processes(
    needed: bool, log: "FilteringBoundLogger"
) -> AsyncIterator[Processes | None]:
    """Allow handlers to run in processes, if any is to; those that are left end with the block.

    A process is started when it is first needed, and kept for later jobs. What libraries say in one
    goes to `log`. Closing takes a shielded moment, and kills what does not end in
    IDLE_EXIT_SECONDS.
    """
    if not needed:
        yield None
        return
    import trio
    import trio_parallel

    from_processes, to_service = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with from_processes, to_service:
        spawn = ShelteredSpawn(to_service)
        said = FromProcesses(from_processes, log)
        manager = trio_parallel.open_worker_context(
            init=live_with_the_service, grace_period=IDLE_EXIT_SECONDS
        )
        context = await manager.__aenter__()
        vars(context)["_worker_class"] = _sheltered(vars(context)["_worker_class"], spawn)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(said.run)
                yield Processes(context, said)
                nursery.cancel_scope.cancel()
        finally:
            with _room_for_one_more_thread(), suppress(trio_parallel.BrokenWorkerError):
                await manager.__aexit__(None, None, None)  # one had to be killed, or was before
            said.read_all()


@contextmanager
def _room_for_one_more_thread() -> Iterator[None]:
    """The library takes one of Trio's default limiter, which handlers may have filled for ever."""
    import trio

    limiter = trio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, math.inf
    try:
        yield
    finally:
        limiter.total_tokens = before


def _sheltered(worker_class: Any, spawn: ShelteredSpawn) -> Any:
    """The library's worker, whose process is one of ours: there is no public way to say that."""
    import trio

    threads = trio.CapacityLimiter(math.inf)

    class ShelteredWorker(worker_class):  # type: ignore[misc]  # it has no types
        mp_context = spawn

        async def start(self) -> None:
            # As theirs does, but without waiting for a limiter that handlers can fill.
            await trio.to_thread.run_sync(self.proc.start, limiter=threads)
            self._child_send_pipe.close()
            self._child_recv_pipe.close()

    return ShelteredWorker


def _how_it_died(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"its process exited with status {exit_code} before the handler had ended"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    killed = f"its process was killed by {name}"
    if name == "SIGKILL":
        return f"{killed}; if nobody did that, it was the kernel, for want of memory"
    return killed
