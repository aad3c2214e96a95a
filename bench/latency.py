"""How long a job takes from its submission to its start, as the service comes near saturation."""

import random
import selectors
import socket
import sys
import tempfile
import time
from collections import deque
from datetime import datetime
from pathlib import Path

import msgspec

from bench.http import JOB, WRK_SCRIPT, requests_per_second
from bench.loopback import free_port, running
from bench.measure import Figures, show_progress

LOADS = (0.1, 0.5, 0.9)
JOBS = 1_000  # for each load, in a round
CONNECTIONS = 64
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
SEED = 1
RECEIVED_AT_ONCE = 65_536
SETTLE_SECONDS = 0.5
MILLISECONDS = 1e3

REQUEST = (
    "POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(JOB)}\r\n\r\n{JOB}"
).encode()


class Line(msgspec.Struct):
    """What is of interest in a line of the log."""

    event: str
    timestamp: datetime
    job_id: str = ""


def latency_under_load(rounds: int) -> Figures:
    """Milliseconds from when a submission was due, at random intervals, to its `job_started`.

    Saturation is what wrk reaches in a second, measured in each round anew. A submission that
    finds no free connection counts from when it was due, as whoever sends it would count.
    """
    rows: dict[str, list[float]] = {
        f"{load:.0%} of saturation, {percentile}": []
        for load in LOADS
        for percentile in PERCENTILES
    }
    chance = random.Random(SEED)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script, log = Path(folder) / "post.lua", Path(folder) / "log"
        script.write_text(WRK_SCRIPT)
        command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
        with running(command, port, log):
            for turn in range(1, rounds + 1):
                show_progress(f"saturation, round {turn} of {rounds}")
                saturation = requests_per_second(port, script)
                for load in LOADS:
                    show_progress(f"latency at {load:.0%}, round {turn} of {rounds}")
                    due = _submit(port, load * saturation, chance)
                    time.sleep(SETTLE_SECONDS)
                    waited = _waited(log, due)
                    for percentile, share in PERCENTILES.items():
                        value = waited[min(int(share * len(waited)), len(waited) - 1)]
                        rows[f"{load:.0%} of saturation, {percentile}"].append(value)
    show_progress("")
    return Figures("From POST to job_started", "ms", rows)


def _submit(port: int, rate: float, chance: random.Random) -> dict[str, float]:
    """Submit JOBS at this rate; gives when each job was due, on the wall's clock, by its id."""
    due_by_id: dict[str, float] = {}
    free = deque[socket.socket]()
    asked: dict[socket.socket, float] = {}
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            free.append(connection)
        due, submitted = time.time(), 0
        while len(due_by_id) < JOBS:
            if submitted < JOBS and free and time.time() >= due:
                connection = free.popleft()
                connection.sendall(REQUEST)
                asked[connection] = due
                submitted += 1
                due += chance.expovariate(rate)
            # It looks without pause: to sleep in between would make the moments late.
            for key, _ in selector.select(timeout=0):
                connection = key.fileobj  # type: ignore[assignment]  # only sockets are registered
                answer = connection.recv(RECEIVED_AT_ONCE)
                head, _, body = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 201"), answer
                due_by_id[msgspec.json.decode(body)["id"]] = asked.pop(connection)
                free.append(connection)
        for connection in free:
            connection.close()
    return due_by_id


def _waited(log: Path, due: dict[str, float]) -> list[float]:
    """The milliseconds until each of the jobs was started, sorted."""
    decoder = msgspec.json.Decoder(Line)
    waited = []
    with log.open("rb") as lines:
        for text in lines:
            if b'"job_started"' in text:
                line = decoder.decode(text)
                if line.job_id in due:
                    waited.append((line.timestamp.timestamp() - due[line.job_id]) * MILLISECONDS)
    assert len(waited) == len(due), f"{len(due) - len(waited)} jobs were not started"
    return sorted(waited)
