"""Servers that a benchmark starts, on free ports of the loopback interface."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

OUR_PACKAGE: Final = "job_service"
START_SECONDS = 20.0
STOP_SECONDS = 20.0


@contextmanager
def running(command: Sequence[str], port: int, output: Path) -> Iterator[int]:
    """A server that listens on `port`, by its process id; it ends with the block."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait_until(lambda: _listens(port), process, output)
            if OUR_PACKAGE in command:  # it listens before its workers run
                _wait_until(lambda: _is_ready(port), process, output)
            yield process.pid
        finally:
            process.terminate()
            process.wait(timeout=STOP_SECONDS)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def url(port: int, path: str) -> str:
    """The URL of a path on such a server."""
    return f"http://127.0.0.1:{port}{path}"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _is_ready(port: int) -> bool:
    with suppress(OSError), urlopen(url(port, "/health/ready")):  # noqa: S310
        return True
    return False


def _wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start: {output.read_text()[-2000:]}")
        time.sleep(0.05)
