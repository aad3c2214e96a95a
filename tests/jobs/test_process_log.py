"""What is said in a process reaches the service: all of it, and before the result does."""

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio

from job_service.jobs.registration.context import JobContext, RunFacts
from job_service.jobs.running.process_log import FromProcesses, Line, Report, ToService
from job_service.jobs.state.progress import Progress
from job_service.telemetry.log import Log

JOB = ("job-1", "thumbnail", "worker-1", 2)
FACTS = RunFacts(
    *JOB,
    max_retries=3,
    is_last_attempt=False,
    created_at=datetime(2026, 1, 31, tzinfo=UTC),
    scheduled_for=None,
    unique_key=None,
    deadline=None,
)


class Desk:
    """A service and a process in one, so that a test has both ends of the socket."""

    def __init__(self, to_service: socket.socket, from_processes: socket.socket) -> None:
        self.lines: list[bytes] = []
        self.kept: list[tuple[str, str, bytes | None]] = []
        self.progress: list[Progress] = []
        self.raw = to_service
        self.process = ToService(to_service)
        self.service = FromProcesses(from_processes, Log(self.lines.append).logger)

    def context(self) -> JobContext:
        """Of the attempt that the process runs."""

        def keep(level: str, event: str, fields: bytes | None) -> None:
            self.kept.append((level, event, fields))

        token = trio.lowlevel.current_trio_token()
        log = Log(self.lines.append).logger
        return JobContext(FACTS, log, self.progress.append, keep, token)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Both ends."""
    incoming, outgoing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with incoming, outgoing:
        yield Desk(outgoing, incoming)


async def test_the_last_words_are_heard_before_the_end(desk: Desk) -> None:
    """Though nobody has read the socket yet when the result is there."""
    with desk.service.listening(desk.context()):
        desk.process.send_line(JOB, "info", {"event": "done", "pages": 3})
        desk.process.send(Report(Progress(3, 3), JOB))
    assert desk.kept == [("info", "done", b'{"pages":3}')]
    assert desk.progress == [Progress(3, 3)]


async def test_a_process_that_logs_without_end_holds_nobody_up(desk: Desk) -> None:
    """The job of another ends, though what the one sends is read no faster than it comes."""
    heard = 0

    def one_more(*_: object) -> None:
        nonlocal heard
        heard += 1
        assert heard < 10_000, "it reads for ever"
        desk.process.send_line(JOB, "info", {"event": "more"})

    token = trio.lowlevel.current_trio_token()
    context = JobContext(
        FACTS, Log(desk.lines.append).logger, desk.progress.append, one_more, token
    )
    with desk.service.listening(context):
        desk.process.send_line(JOB, "info", {"event": "first"})
    assert heard > 0


async def test_all_that_the_socket_holds_is_heard_before_the_end(desk: Desk) -> None:
    """However many lines are on their way when the result is there."""
    sent = 0
    desk.raw.setblocking(False)
    with desk.service.listening(desk.context()), contextlib.suppress(BlockingIOError):
        while True:
            desk.raw.send(msgspec.json.encode(Line("info", "x", {}, JOB)))
            sent += 1
    assert len(desk.kept) == sent


async def test_what_comes_too_late_is_only_in_the_log(desk: Desk) -> None:
    """As from a thread that the handler has left behind."""
    desk.process.send_line(JOB, "warning", {"event": "late"})
    desk.process.send(Report(Progress(4), JOB))
    desk.service.read_all()
    (line,) = desk.lines
    assert b'"event":"late"' in line
    assert b'"job_id":"job-1"' in line
    assert (desk.kept, desk.progress) == ([], [])


@pytest.mark.parametrize(
    "sent",
    [
        b"not JSON",
        b'{"type":"line"}',
        b'{"type":"progress","progress":{"done":5,"total":2},"job":["job-1","x","w",2]}',
    ],
)
async def test_what_a_handler_sends_by_itself_harms_nobody(sent: bytes, desk: Desk) -> None:
    """It may find the socket and write what it likes."""
    with desk.service.listening(desk.context()):
        desk.raw.send(sent)
        desk.process.send_line(JOB, "info", {"event": "done"})
    assert [event for _, event, _ in desk.kept] == ["done"]
    assert desk.progress == []


@pytest.mark.parametrize("value", ["x" * 1_000_000, {"a": ["y"] * 300_000}, "\ud800", {1: 2}])
async def test_any_line_fits_into_a_message(value: Any, desk: Desk) -> None:
    """However long it is, and whatever is in it."""
    with desk.service.listening(desk.context()):
        desk.process.send_line(JOB, "info", {"event": value, "value": value})
    ((level, _, fields),) = desk.kept
    assert level == "info"
    assert fields is not None
