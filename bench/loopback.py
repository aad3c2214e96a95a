"""Servers that a benchmark starts, on free ports of the loopback interface."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 20.0


@contextmanager
def running(command: Sequence[str], port: int, output: Path) -> Iterator[int]:
    """A server that listens on `port`, by its process id; it ends with the block."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_listens(process, port, output)
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


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it did not start: {output.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return
