"""A process that is ready, begins at a word, and runs until it is ended."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from bench.peers.environments import ROOT
from bench.peers.running import PeerError, last_line


@dataclass(frozen=True, slots=True)
class WaitingProcess:
    """A process that begins at a word."""

    process: subprocess.Popen[str]
    errors: IO[str]

    def until_ready(self) -> None:
        """Raises PeerError if it ends instead."""
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            self.require_running()

    def begin(self) -> None:
        """Say the word."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def require_running(self) -> None:
        """Raises PeerError if it has ended, with the last of what it said."""
        if self.process.poll() is not None:
            self.errors.seek(0)
            raise PeerError(last_line(self.errors.read()))


@contextmanager
def waiting_process(command: Sequence[str]) -> Iterator[WaitingProcess]:
    """A process that is killed after the block."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield WaitingProcess(process, errors)
        finally:
            process.kill()
