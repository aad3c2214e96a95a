"""Real pipes and files to write log lines to, and the lines to write."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from job_service.telemetry.events import LogLinesDropped
from job_service.telemetry.sink import LineSink

ENOUGH_SECONDS = 10.0  # for whatever should take none

# More than any pipe takes at once: whoever writes it waits for the pipe's reader.
LONG_LINE = b"x" * 2_000_000


class Pipe:
    """A real pipe, whose reader the test is."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._read: list[bytes] = []
        self._reader = threading.Thread(target=self._read_all, daemon=True)

    def start_reading(self) -> None:
        """Read all that comes, on a thread, from now on."""
        self._reader.start()

    def stop_reading(self) -> None:
        """Close the reading end, as a reader that died would."""
        os.close(self.reading)
        self.reading = -1  # another file may get the number

    def end(self) -> list[bytes]:
        """Close the writing end, and return all lines that came, each with its newline."""
        os.close(self.writing)
        self.writing = -1
        if self._reader.ident is None:
            self.start_reading()
        self._reader.join(ENOUGH_SECONDS)
        return b"".join(self._read).splitlines(keepends=True)

    def _read_all(self) -> None:
        reading = self.reading
        while piece := os.read(reading, 65_536):
            self._read.append(piece)


@contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """The file's descriptor, to append to."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        yield fd
    finally:
        os.close(fd)


def stall(sink: LineSink, pipe: Pipe) -> None:
    """Let the sink take a line, so that it has an empty buffer and can't go on."""
    sink.write(LONG_LINE)
    assert select.select([pipe.reading], [], [], ENOUGH_SECONDS)[0]


def write_all(sink: LineSink, lines: list[bytes]) -> None:
    """Give the sink these lines."""
    for line in lines:
        sink.write(line)


def told(event: LogLinesDropped) -> bytes:
    """The line that a sink of a test tells its losses with."""
    return b"dropped %d" % event.lines


def within_time(act: Callable[[], object]) -> None:
    """Do `act`, and fail if it does not end."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(ENOUGH_SECONDS)
    assert not thread.is_alive()


def numbered(count: int, name: str = "line") -> list[bytes]:
    """So many lines that can be told apart, as they are given to a sink."""
    return [f"{name} {number}".encode() for number in range(count)]


def ended(lines: list[bytes]) -> list[bytes]:
    """The lines as they should come out, each with its newline."""
    return [line + b"\n" for line in lines]
