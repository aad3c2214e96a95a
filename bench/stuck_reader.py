"""Submissions over HTTP while nobody reads the log, against the same with a reader that does."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.http import CONNECTIONS, WRK_SCRIPT, requests_per_second
from bench.measure import Comparison, Goal, take_turns


def stuck_against_reading(rounds: int) -> Comparison:
    """Requests per second while the service's stdout, a pipe, is not read, and while it is."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        with _serving(reading=False) as stuck, _serving(reading=True) as read:
            sides = take_turns(
                {
                    "POST /jobs, log not read": lambda: requests_per_second(stuck, script),
                    "POST /jobs, log read": lambda: requests_per_second(read, script),
                },
                rounds,
            )
    return Comparison(
        f"Stuck reader of the log, {CONNECTIONS} connections",
        "requests per second",
        sides,
        goals={"POST /jobs, log read": Goal(at_least=0.9)},
    )


@contextmanager
def _serving(*, reading: bool) -> Iterator[int]:
    """A service, by its port; its log is read up to the line with the port, or to the end."""
    command = [sys.executable, "-m", "job_service", "--port", "0", "--log-format", "json"]
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
