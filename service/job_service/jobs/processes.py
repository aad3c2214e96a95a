"""Runs handlers in processes of their own, which are killed when their attempt is interrupted."""

import importlib.util
import math
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from job_service.jobs.context import JobContext
from job_service.jobs.failure import describe, leaves
from job_service.jobs.handler import place_of
from job_service.jobs.outcome import Discard, Snooze, asked_for
from job_service.jobs.result import encode_result
from job_service.jobs.signature import Signature, read_signature

if TYPE_CHECKING:
    from trio_parallel import WorkerContext

IDLE_EXIT_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # or the log is opened anew by it


class ProcessContext(JobContext):
    """The running job as its handler sees it in a process, where the service is out of reach."""

    def __init__(self, id: str, type: str, worker_id: str, attempt: int) -> None:
        self.id = id
        self.type = type
        self.worker_id = worker_id
        self.attempt = attempt

    def __getattribute__(self, name: str) -> Any:
        if name in ("log", "progress"):
            raise RuntimeError(
                f"JobContext.{name} does not work in a process: only id, type, worker_id and "
                "attempt do"
            )
        return super().__getattribute__(name)


class ShelteredProcess(SpawnProcess):
    """A process that no signal to all processes can end while it is still starting."""

    def start(self) -> None:
        """Start it, with the signals held back that `_live_with_the_service` deals with."""
        resource_tracker.ensure_running()  # which would let them through, if it came later
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ShelteredSpawn(SpawnContext):
    """How processes are started here."""

    Process = ShelteredProcess


class Processes:
    """The processes of one engine; see `open_processes`."""

    def __init__(self, context: "WorkerContext") -> None:
        import trio

        self._context = context
        # There is one process per worker at the most, and a job that waits here would be
        # `processing` without being run.
        self._limiter = trio.CapacityLimiter(math.inf)

    async def call(
        self, handler: Callable[..., Any], payload: bytes, identity: tuple[str, str, str, int]
    ) -> Any:
        """What `handler` returns, or raises, in a process; killed when this is cancelled.

        `identity` is what the handler's context knows: id, type, worker and attempt of the job. A
        process that ends by itself raises BrokenWorkerError.
        """
        return await self._context.run_sync(
            _call_here,
            handler,
            payload,
            identity,
            kill_on_cancel=True,
            limiter=self._limiter,
        )


@asynccontextmanager
async def open_processes(needed: bool) -> AsyncIterator[Processes | None]:
    """Allow handlers to run in processes, where any is to; those that are left end with the block.

    A process is started when it is first needed, and kept for later jobs. Closing takes a shielded
    moment, and kills what does not end in IDLE_EXIT_SECONDS.
    """
    if not needed:
        yield None
        return
    import trio_parallel

    manager = trio_parallel.open_worker_context(
        init=_live_with_the_service, grace_period=IDLE_EXIT_SECONDS
    )
    context = await manager.__aenter__()
    # There is no public way to say how processes are to be started.
    worker_class = vars(context)["_worker_class"]
    sheltered = type("ShelteredWorker", (worker_class,), {"mp_context": ShelteredSpawn()})
    vars(context)["_worker_class"] = sheltered
    try:
        yield Processes(context)
    finally:
        with suppress(trio_parallel.BrokenWorkerError):  # one had to be killed, or was before
            await manager.__aexit__(None, None, None)


def check_can_run_in_process(handler: Callable[..., Any]) -> None:
    """Raise TypeError where a process can't import `handler`, ImportError without trio-parallel."""
    module, name = handler.__module__, getattr(handler, "__qualname__", "")
    if not name or "<" in name:  # <lambda>, <locals>
        problem = "it must be a function at the top of its module"
    elif module in ("__main__", "__mp_main__"):
        problem = "it must be in a module that can be imported, and not in the program itself"
    elif importlib.util.find_spec("trio_parallel") is None:
        raise ImportError("runs_in='process' needs pip install 'trio-job-service[process]'")
    else:
        return
    raise TypeError(f"{name or handler!r} can't run in a process: {problem}{place_of(handler)}")


def _live_with_the_service() -> None:
    """In the process, at first: leave signals to the service, but don't outlive it."""
    # What is sent to all processes at once, as systemd does, only begins the drain. A handler,
    # unlike SIG_IGN, is not inherited by programs that are run from here.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with_the_service, daemon=True).start()


def _end_with_the_service() -> NoReturn:
    service = multiprocessing.parent_process()
    assert service is not None  # noqa: S101  # this is never the service itself
    service.join()
    os._exit(1)


def _call_here(handler: Callable[..., Any], payload: bytes, job: tuple[str, str, str, int]) -> Any:
    try:
        signature = _signature(handler)
        arguments: dict[str, Any] = {}
        if signature.payload is not None:
            arguments[signature.payload] = signature.decoder.decode(payload)
        if signature.context is not None:
            arguments[signature.context] = ProcessContext(*job)
        return _portable(handler(**arguments))
    except Exception as error:
        portable = _portable_error(error)
    raise portable  # out here it does not drag along the error that it may stand for


@cache
def _signature(handler: Callable[..., Any]) -> Signature:
    return read_signature(handler)


def _portable(result: object) -> object:
    """The result as JSON text; or as it is, so that the service says why it can't be written."""
    try:
        return msgspec.Raw(encode_result(result))
    except Exception:
        try:
            pickle.dumps(result)
        except Exception as error:
            raise TypeError(
                f"the result can't be brought back from its process: {describe(error)}"
            ) from None
        return result


def _portable_error(error: Exception) -> Exception:
    """The error, or another in the place of one that the service could not read.

    Whatever takes its place, a Discard stays one, and a Snooze, too.
    """
    from tblib.pickling_support import install  # it comes with trio-parallel

    install(error)
    if _comes_back(error):
        return error
    for each in (error, *leaves(error)):
        each.__cause__ = each.__context__ = None  # what led to it may be all that can't
    if _comes_back(error):
        return error
    asked = asked_for(error)
    if isinstance(asked, Snooze):
        return Snooze(asked.seconds)
    message = f"{describe(error)} (an error that can't be brought back from its process)"
    stand_in = RuntimeError if asked is None else Discard
    return stand_in(message).with_traceback(error.__traceback__)


def _comes_back(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # its own
    except Exception:
        return False
    return True
