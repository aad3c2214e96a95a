"""Carries what libraries say through `logging` in a process of ours to the service's own log."""

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Final

import msgspec

from job_service.failures.names import encodable
from job_service.failures.report import MAX_TRACEBACK_CHARS, format_traceback
from job_service.telemetry.exc_info import error_of
from job_service.telemetry.libraries import message_of, method_of

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

JobIdentity = tuple[str, str, str, int]  # id, type, worker and attempt of a job

_MAX_BYTES: Final = 160_000  # what a record can be at most


class Record(msgspec.Struct, omit_defaults=True):
    """A record of `logging`, as it is carried."""

    method: str
    library: str
    message: str
    traceback: str | None = None
    job: JobIdentity | None = None


class RecordSender(logging.Handler):
    """Sends each record over a socket that keeps messages apart; children that are forked, too.

    `job` is the one that runs, to which its records belong.
    """

    def __init__(self, to_service: socket.socket) -> None:
        super().__init__(logging.WARNING)
        self.job: JobIdentity | None = None
        self._to_service = to_service

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`, on any thread."""
        traceback = None
        error = error_of(record.exc_info)
        if error is not None:
            traceback = format_traceback(error)
        elif record.stack_info:
            traceback = encodable(record.stack_info[-MAX_TRACEBACK_CHARS:])
        carried = Record(
            method_of(record), encodable(record.name), message_of(record), traceback, self.job
        )
        with contextlib.suppress(OSError):  # the service has gone, and nobody reads any more
            self._to_service.send(msgspec.json.encode(carried))


def say_whose_records_come(job: JobIdentity) -> None:
    """From now on, of all that is said in this process, which runs one job at a time."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RecordSender):
            handler.job = job


async def relay(from_processes: socket.socket, log: "FilteringBoundLogger") -> None:
    """Write what comes in as lines of the log, until cancelled."""
    import trio

    with trio.socket.from_stdlib_socket(from_processes.dup()) as incoming:
        while True:
            _write(await incoming.recv(_MAX_BYTES), log)


def write_what_is_left(from_processes: socket.socket, log: "FilteringBoundLogger") -> None:
    """Write what has come in and was not relayed; waits for nothing."""
    from_processes.setblocking(False)
    with contextlib.suppress(OSError):
        while True:
            _write(from_processes.recv(_MAX_BYTES), log)


def _write(data: bytes, log: "FilteringBoundLogger") -> None:
    """Write it as the line that it would be of the service's own libraries, with its job."""
    try:
        record = msgspec.json.decode(data, type=Record)
    except msgspec.DecodeError:
        return  # a handler has found the socket, and sent something else
    fields: dict[str, object] = {"library": record.library, "message": record.message}
    if record.job is not None:
        fields |= dict(zip(("job_id", "job_type", "worker_id", "attempt"), record.job, strict=True))
    if record.traceback is not None:
        fields["traceback"] = record.traceback
    getattr(log, record.method)("library_message", **fields)
