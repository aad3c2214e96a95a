"""Submissions over HTTP while nobody reads the log, against the same with a reader that does."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.http import CONNECTIONS, WRK_SCRIPT, requests_per_second
from bench.measure import Comparison, compare


def stuck_against_reading(rounds: int = 9) -> Comparison | None:
    """Requests per second of both, or None without wrk. The service's stdout is a pipe."""
    if shutil.which("wrk") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        with _serving(reading=False) as stuck, _serving(reading=True) as read:
            return compare(
                f"POST /jobs, stuck log reader against one that reads, {CONNECTIONS} connections",
                "requests",
                lambda: requests_per_second(stuck, script),
                lambda: requests_per_second(read, script),
                rounds,
            )


@contextmanager
def _serving(*, reading: bool) -> Iterator[int]:
    """A service, by its port; its log is read to the line that tells it, or to the end."""
    command = [sys.executable, "-m", "service", "--port", "0", "--log-format", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield _read_port(process.stdout, go_on=reading)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _read_port(log: IO[bytes], *, go_on: bool) -> int:
    for text in log:
        line = json.loads(text)
        if line["event"] == "service_started":
            if go_on:
                threading.Thread(target=log.read, daemon=True).start()
            return int(line["url"].rpartition(":")[2])
    raise EOFError("it did not start")
