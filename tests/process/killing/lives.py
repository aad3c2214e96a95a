"""One service after the other on the same file, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
import trio

from tests.forking import Ancestor
from tests.process.killing import handlers

DATABASE: Final = "jobs.db"
SOCKET: Final = "service.sock"
POLL_SECONDS: Final = 0.01
PATIENCE_SECONDS: Final = 60.0  # with a busy machine


class Process(Protocol):
    """What is needed of the process of a service."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""

    def send_signal(self, number: int) -> None:
        """Send it a signal."""


Launch = Callable[[list[str], Path, Path], Process]  # options, where it runs, and its output


def forked_from(ancestor: Ancestor) -> Launch:
    """Starts services by forking, which takes no time."""
    return lambda options, folder, output: ancestor.start(options, "", folder, output)


def as_a_program(
    options: list[str],
    folder: Path,
    output: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Process:
    """Start a service as everybody does; with these variables beside those that all have."""
    command = [sys.executable, "-m", "job_service", *options]
    everything = {**os.environ, **environment}
    with output.open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=everything
        )


@dataclass(eq=False)
class Life:
    """One process of the service, from its start to its end."""

    number: int
    process: Process
    log: Path
    output: Path  # which has all that is not the log, such as what a killed process had to say
    began: int  # nanoseconds, monotonic
    began_at: datetime
    ended: int | None = None
    status: int | None = None  # its exit status, or minus the signal that ended it

    def lines(self) -> list[dict[str, Any]]:
        """All complete lines of its log so far."""
        complete, _, _ = self.log.read_bytes().rpartition(b"\n")
        return [msgspec.json.decode(line) for line in complete.splitlines()]

    def last_words(self) -> str:
        """The end of what it said."""
        return self.log.read_text()[-2000:] + self.output.read_text()[-2000:]

    async def started(self) -> None:
        """Return when it has said that it has started. Raises AssertionError if it ended before."""
        with trio.fail_after(PATIENCE_SECONDS):
            while b'"service_started"' not in self.log.read_bytes():
                assert self.process.poll() is None, self.last_words()
                await trio.sleep(POLL_SECONDS)

    def send(self, number: int) -> None:
        """Send it a signal. Raises AssertionError if it has ended by itself."""
        status = self.process.poll()
        assert status is None, f"it ended by itself with {status}: {self.last_words()}"
        self.process.send_signal(number)

    async def exit_status(self) -> int:
        """Its exit status, or minus the signal that ended it, when it has ended."""
        with trio.fail_after(PATIENCE_SECONDS):
            while (status := self.process.poll()) is None:
                await trio.sleep(POLL_SECONDS)
        self.ended = time.monotonic_ns()
        self.status = status
        return status

    @property
    def was_killed(self) -> bool:
        """Whether it had no time for a last word."""
        return self.status == -signal.SIGKILL


class Lives:
    """The services on one file in a folder, which listen on the same socket."""

    def __init__(self, launch: Launch, folder: Path, *options: str) -> None:
        self._launch = launch
        self._options = options
        self.folder = folder
        self.all = list[Life]()
        copy(handlers.__file__, folder / "handlers.py")

    @property
    def socket(self) -> str:
        """The path at which all of them listen."""
        return str(self.folder / SOCKET)

    def start(self, *options: str, registry: str = "registry") -> Life:
        """Start the next one. Its options win over those that all have."""
        number = len(self.all) + 1
        log, output = self.folder / f"{number}.log", self.folder / f"{number}.output"
        log.touch()
        output.touch()
        began, began_at = time.monotonic_ns(), datetime.now(UTC)
        every = ["--jobs", f"handlers:{registry}", "--store", f"sqlite:{DATABASE}"]
        every += ["--unix", self.socket, "--log-format", "json", "--log-file", str(log)]
        every += ["--queue-capacity", "100000", "--retain", "1000000"]
        process = self._launch([*every, *self._options, *options], self.folder, output)
        life = Life(number, process, log, output, began, began_at)
        self.all.append(life)
        return life

    def close(self) -> None:
        """Kill those that still run."""
        for life in self.all:
            if life.process.poll() is None:
                life.process.send_signal(signal.SIGKILL)
