"""What happens inside a process that runs handlers: how it lives, and how it calls them."""

import multiprocessing
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, cached_property, partial
from inspect import isgeneratorfunction
from multiprocessing import resource_tracker
from multiprocessing.util import Finalize
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import msgspec

from job_service.failures.exception_groups import is_a, leaves, traceback_of
from job_service.failures.report import describe
from job_service.jobs.registration.context import JobContext, RunFacts
from job_service.jobs.registration.outcome import Discard, Snooze, asked_for
from job_service.jobs.registration.signature import Signature, read_signature
from job_service.jobs.running.forks import (
    STOP_SIGNALS,
    let_go_of,
    restore_signals_in_children,
)
from job_service.jobs.running.process_log import (
    JobIdentity,
    RecordSender,
    Report,
    ToService,
    say_whose_records_come,
)
from job_service.jobs.running.result import Unwritable, encode_result
from job_service.jobs.state.progress import check_progress
from job_service.telemetry.libraries import listen_to_libraries

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class ProcessContext(JobContext):
    """The running job as its handler sees it in a process; what it says is sent to the service."""

    def __init__(self, facts: RunFacts, to_service: ToService) -> None:
        self._know(facts)
        self._to_service = to_service

    @cached_property
    def log(self) -> "FilteringBoundLogger":
        """As on the loop; what is below the level of the service's log is left out there."""
        from job_service.telemetry.line_logger import LEVEL_NUMBERS, line_logger

        return line_logger(
            LEVEL_NUMBERS["debug"],
            lambda level, fields, _: self._to_service.send_line(self._identity, level, fields),
        )

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """As on the loop."""
        self._to_service.send(Report(check_progress(done, total, note), self._identity))

    @property
    def _identity(self) -> JobIdentity:
        return self.id, self.type, self.worker_id, self.attempt


def send_records(to_service: socket.socket) -> None:
    """At the very first: send what libraries say to the service, and let no child hold it.

    A forked child that had the pipes by which the service knows this process would keep it from
    seeing that the process has ended.
    """
    listen_to_libraries(RecordSender(ToService(to_service)))
    restore_signals_in_children()
    kept = {0, 1, 2, resource_tracker.getfd(), to_service.fileno()}  # for children, too
    os.register_at_fork(after_in_child=partial(let_go_of, _open_descriptors() - kept))


def _open_descriptors() -> set[int]:
    listed = {int(entry.name) for entry in Path("/dev/fd").iterdir()}
    return {number for number in listed if _is_open(number)}  # else by what has listed them


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def live_with_the_service() -> None:
    """Before the first job: leave signals to the service, but don't outlive it."""
    os.setpgid(0, 0)
    # What is sent to all processes at once, as systemd does, only begins the drain. A handler,
    # unlike SIG_IGN, is not inherited by programs that are run from here.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with_the_service, daemon=True).start()


def _end_with_the_service() -> None:
    service = multiprocessing.parent_process()
    assert service is not None  # noqa: S101  # this is never the service itself
    service.join()
    os.killpg(0, signal.SIGKILL)  # with all that the handler has started


def call_here(
    handler: Callable[..., Any],
    payload: bytes,
    facts: RunFacts,
    resources: Mapping[str, Callable[[], Any]],
) -> Any:
    """What the handler returns, or raises, in a form that the service can read.

    `resources` says how those are opened that it takes, if they are not open already.
    """
    say_whose_records_come(facts[:4])
    try:
        named = isinstance(handler, FunctionType)  # all else comes as a new copy each time
        read = _signature if named else read_signature
        signature = read(handler, tuple(resources))
        arguments: dict[str, Any] = {}
        if signature.payload is not None:
            arguments[signature.payload] = signature.decoder.decode(payload)
        if signature.context is not None:
            process: Any = multiprocessing.current_process()
            arguments[signature.context] = ProcessContext(facts, ToService(process.to_service))
        arguments |= {name: open_once(resources[name]) for name in signature.resources}
        # The next job must not see what this one sets in its context.
        return _portable(copy_context().run(partial(handler, **arguments)))
    except BaseException as error:
        try:
            portable = _portable_error(error)
        except BaseException:  # it is too odd to be looked at
            portable = _stand_in_for(error)
    raise portable  # out here it does not drag along the error that it may stand for


@cache
def _signature(handler: Callable[..., Any], resources: tuple[str, ...]) -> Signature:
    return read_signature(handler, resources)


@cache
def open_once(opener: Callable[[], Any]) -> Any:
    """What the resource gives, which stays open until the process ends by itself."""
    manager = contextmanager(opener)() if isgeneratorfunction(opener) else opener()
    value = manager.__enter__()
    Finalize(None, manager.__exit__, args=(None, None, None), exitpriority=0)
    return value


def _portable(result: object) -> msgspec.Raw | Unwritable:
    """The result as JSON text, or why it can't be written.

    It is never sent as it is: the service would have to run the code of whoever made it.
    """
    try:
        return msgspec.Raw(encode_result(result))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Unwritable(str(error) or describe(error))


def _portable_error(error: BaseException) -> BaseException:
    """The error, or another in the place of one that the service could not read.

    Whatever takes its place, a Discard stays one, and a Snooze, too. A KeyboardInterrupt is not
    brought back: no Ctrl-C reaches a handler here, and the service would take it for one.
    """
    if any(is_a(leaf, KeyboardInterrupt) for leaf in leaves(error)):
        return _stand_in_for(error)
    from tblib.pickling_support import install  # it comes with trio-parallel

    install(error)
    if _comes_back(error):
        return error
    for each in (error, *leaves(error)):
        each.__cause__ = each.__context__ = None  # what led to it may be all that can't
    if _comes_back(error):
        return error
    asked = asked_for(error)
    if asked is not None and is_a(asked, Snooze):
        return Snooze(asked.seconds)
    return _stand_in_for(error, RuntimeError if asked is None else Discard)


def _stand_in_for(error: BaseException, kind: type[Exception] = RuntimeError) -> BaseException:
    message = f"{describe(error)} (an error that can't be brought back from its process)"
    return kind(message).with_traceback(traceback_of(error))


def _comes_back(error: BaseException) -> bool:
    try:
        back = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own
        return issubclass(type(back), BaseException)
    except BaseException:
        return False
