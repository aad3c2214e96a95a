"""Carries what is said in a process of ours to the service: log lines, progress, and records.

All of it goes over one socket that keeps messages apart. What a process has sent is there for the
service to read before its result is. If the service does not read, the process waits.
"""

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from job_service.failures.names import encodable
from job_service.failures.report import MAX_TRACEBACK_CHARS, format_traceback
from job_service.jobs.state.progress import Progress
from job_service.telemetry.any_json import render_short
from job_service.telemetry.exc_info import error_of
from job_service.telemetry.libraries import message_of, method_of
from job_service.telemetry.room import with_room
from job_service.telemetry.text import printable

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from job_service.jobs.registration.context import JobContext

JobIdentity = tuple[str, str, str, int]  # id, type, worker and attempt of a job

_MAX_BYTES: Final = 160_000  # what a message can be at most
_MAX_CHARS: Final = 20_000  # of a line's event, and again of its fields
_IN_ONE_GO: Final = 100  # messages, before others have their turn
_OVERHEAD_BYTES: Final = 256  # that the kernel counts for each message, at least


class Record(msgspec.Struct, omit_defaults=True, tag="record"):
    """A record of `logging`, as it is carried."""

    method: str
    library: str
    message: str
    traceback: str | None = None
    job: JobIdentity | None = None


class Line(msgspec.Struct, tag="line"):
    """A line of `job.log`, as it is carried."""

    level: str
    event: str
    fields: dict[str, Any]
    job: JobIdentity


class Report(msgspec.Struct, tag="progress"):
    """How far a job has come, as it is carried."""

    progress: Progress
    job: JobIdentity


_decode = msgspec.json.Decoder(Record | Line | Report).decode


class ToService:
    """In a process: the way to the service."""

    def __init__(self, to_service: socket.socket) -> None:
        self._to_service = to_service

    def send(self, message: Record | Line | Report) -> None:
        """Send it; returns when there is room for it. Any thread may call it."""
        with contextlib.suppress(OSError):  # the service has gone, and nobody reads any more
            self._to_service.send(msgspec.json.encode(message))

    def send_line(self, job: JobIdentity, level: str, line: dict[str, Any]) -> None:
        """Send what is to be a line of the log, cut if it is very long; whatever is in it."""
        error = error_of(line.pop("exc_info", None))
        line = with_room(line)
        event = printable(line.pop("event", None))[:_MAX_CHARS]
        if error is not None:
            line["traceback"] = format_traceback(error)
        fields = msgspec.json.decode(render_short(line, _MAX_CHARS), type=dict[str, Any])
        self.send(Line(level, event, fields, job))


class RecordSender(logging.Handler):
    """Sends each record of `logging`; children that are forked do, too.

    `job` is the one that runs, to which its records belong.
    """

    def __init__(self, to_service: ToService) -> None:
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
        self._to_service.send(
            Record(
                method_of(record), encodable(record.name), message_of(record), traceback, self.job
            )
        )


def say_whose_records_come(job: JobIdentity) -> None:
    """From now on, of all that is said in this process, which runs one job at a time."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RecordSender):
            handler.job = job


class FromProcesses:
    """In the service: reads what processes send, and gives it to the log or to their attempts."""

    def __init__(self, incoming: socket.socket, log: "FilteringBoundLogger") -> None:
        incoming.setblocking(False)
        self._incoming = incoming
        # Both ends have the same sizes. Linux counts with that of the sender, BSD of the receiver.
        self._most_kept = max(
            incoming.getsockopt(socket.SOL_SOCKET, size)
            for size in (socket.SO_SNDBUF, socket.SO_RCVBUF)
        )
        self._log = log
        self._running: dict[tuple[str, int], JobContext] = {}

    @contextlib.contextmanager
    def listening(self, context: "JobContext") -> Iterator[None]:
        """In the block a process runs this attempt; what it has said is heard before the end."""
        key = context.id, context.attempt
        self._running[key] = context
        try:
            yield
        finally:
            self.read_all()
            del self._running[key]

    async def run(self) -> None:
        """Read what comes in, until cancelled."""
        import trio

        while True:
            await trio.lowlevel.wait_readable(self._incoming)
            with contextlib.suppress(BlockingIOError):
                for _ in range(_IN_ONE_GO):
                    self._read_one()

    def read_all(self) -> None:
        """Read what has come in by now; waits for nothing.

        Other processes may send faster than this reads, so it ends when it has read as much as the
        kernel can have kept when it began.
        """
        left = self._most_kept
        with contextlib.suppress(BlockingIOError):
            while left > 0:
                left -= _OVERHEAD_BYTES + self._read_one()

    def _read_one(self) -> int:
        """Read a message; gives its size. Raises BlockingIOError if there is none."""
        data = self._incoming.recv(_MAX_BYTES)
        self._hear(data)
        return len(data)

    def _hear(self, data: bytes) -> None:
        try:
            said = _decode(data)
        except msgspec.DecodeError:
            return  # a handler has found the socket, and sent something else
        if isinstance(said, Record):
            self._write_record(said)
            return
        context = self._running.get((said.job[0], said.job[3]))
        if isinstance(said, Line):
            log = self._log.bind(**_fields_of(said.job)) if context is None else context.log
            log.log(said.level, said.event, **said.fields)  # type: ignore[arg-type]  # ours takes names
        elif context is not None:
            progress = said.progress
            with contextlib.suppress(
                ValueError
            ):  # the process has checked what it sends, if it is ours
                context.progress(progress.done, progress.total, progress.note)

    def _write_record(self, record: Record) -> None:
        """Write it as the line that it would be of the service's own libraries, with its job."""
        fields: dict[str, object] = {"library": record.library, "message": record.message}
        if record.job is not None:
            fields |= _fields_of(record.job)
        if record.traceback is not None:
            fields["traceback"] = record.traceback
        getattr(self._log, record.method)("library_message", **fields)


def _fields_of(job: JobIdentity) -> dict[str, object]:
    return dict(zip(("job_id", "job_type", "worker_id", "attempt"), job, strict=True))
