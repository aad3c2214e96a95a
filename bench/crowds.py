"""What a job costs the service while many clients follow its events, or wait for a job to end."""

import http.client
import json
import resource
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bench.footprint import seconds_computed
from bench.loopback import free_port, running
from bench.measure import Growth, show_progress

CLIENTS = (0, 10, 100, 1_000)
JOBS = 100
JOBS_PER_SECOND = 100
WARM_UP = 20
SETTLE_SECONDS = 0.5
CONNECT_SECONDS = 30.0
RECEIVED_AT_ONCE = 1 << 20
FILES = 2 * max(CLIENTS)
MICROSECONDS = 1e6

JOB = '{"type":"echo","payload":1}'
REQUESTS = {
    "readers of all events": "/events",
    "readers of one job's events": "/events?job_id={id}",
    "waiters for one job": "/jobs/{id}?wait=60",
}
WAITED_FOR = '{"type":"echo","payload":1,"delay_seconds":86400}'


def growth_with_clients(rounds: int) -> Growth:
    """By clients that listen or wait, on real sockets, at 100 jobs a second."""
    _allow_open_files(FILES)
    lines: dict[str, dict[int, list[float]]] = {
        line: {clients: [] for clients in CLIENTS} for line in REQUESTS
    }
    for turn in range(1, rounds + 1):
        for line, path in REQUESTS.items():
            for clients in CLIENTS:
                show_progress(f"{clients:,} {line}, round {turn} of {rounds}")
                lines[line][clients].append(_cost_with(clients, path))
    show_progress("")
    return Growth("Cost of a job by connected clients", "clients", "processor time, µs", lines)


def _cost_with(clients: int, path: str) -> float:
    """What a job costs a new service with so many clients that have requested `path`."""
    port = free_port()
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running([*command, "--grace", "0"], port, Path(folder) / "log") as pid,
        closing(http.client.HTTPConnection("127.0.0.1", port)) as connection,
    ):
        waited_for = _submit(connection, WAITED_FOR)
        with _connected(pid, port, path.format(id=waited_for), clients):
            return _processor_time_per_job(pid, connection)


def _processor_time_per_job(pid: int, connection: http.client.HTTPConnection) -> float:
    """The processor time of the process per job; jobs are submitted one by one."""
    for _ in range(WARM_UP):
        _submit(connection, JOB)
    computed, start = seconds_computed(pid), time.perf_counter()
    for number in range(JOBS):
        time.sleep(max(0, start + number / JOBS_PER_SECOND - time.perf_counter()))
        _submit(connection, JOB)
    time.sleep(SETTLE_SECONDS)
    return (seconds_computed(pid) - computed) / JOBS * MICROSECONDS


@contextmanager
def _connected(pid: int, port: int, path: str, clients: int) -> Iterator[None]:
    """So many clients that have requested `path` and read all that comes."""
    ended = threading.Event()
    before = _open_files(pid) - 1  # the connection that found it listening may still be open
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(clients):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            selector.register(client, selectors.EVENT_READ)
        receiver = threading.Thread(target=_receive, args=(selector, ended))
        receiver.start()
        try:
            _wait_for_files(pid, before + clients)
            yield
        finally:
            ended.set()
            receiver.join()


def _receive(selector: selectors.BaseSelector, ended: threading.Event) -> None:
    while not ended.is_set():
        for key, _ in selector.select(timeout=0.1):
            assert isinstance(key.fileobj, socket.socket)
            assert key.fileobj.recv(RECEIVED_AT_ONCE), "the service has closed a connection"


def _wait_for_files(pid: int, wanted: int) -> None:
    """Return when the process has so many files open, one per connection, and has settled."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while _open_files(pid) < wanted:
        assert time.monotonic() < deadline, f"only {_open_files(pid)} files are open"
        time.sleep(0.05)
    time.sleep(SETTLE_SECONDS)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _submit(connection: http.client.HTTPConnection, job: str) -> str:
    connection.request("POST", "/jobs", job, {"Content-Type": "application/json"})
    job_id: str = json.load(connection.getresponse())["id"]
    return job_id


def _allow_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
