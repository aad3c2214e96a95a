"""Submissions over HTTP, each job validated, logged and completed, one by one and in batches."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from bench.measure import Comparison, compare

CONNECTIONS = 32
SECONDS = 1
BATCH = 5_000
JOB = '{"type":"echo","payload":{"n":1}}'
START_SECONDS = 20.0

WRK_SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{JOB}'
"""


def post_against_bare_route(rounds: int = 15) -> Comparison | None:
    """Requests per second of both, or None where wrk, which makes the load, is not installed."""
    if shutil.which("wrk") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        log = Path(folder) / "service.log"
        ours, bare = free_port(), free_port()
        service = [sys.executable, "-m", "service", "--port", str(ours), "--log-format", "json"]
        route = [sys.executable, "-m", "bench.bare_route", str(bare)]
        with running(service, ours, log), running(route, bare, Path(folder) / "bare.log"):
            comparison = compare(
                f"POST /jobs against a bare Quart-Trio route, {CONNECTIONS} connections",
                "requests",
                lambda: requests_per_second(ours, script),
                lambda: requests_per_second(bare, script),
                rounds,
            )
            _check_all_completed(ours)
    return comparison


def batches_against_single_posts(rounds: int = 9) -> Comparison | None:
    """Jobs per second in batches over jobs per second one by one, or None without wrk."""
    if shutil.which("wrk") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        port = free_port()
        service = [sys.executable, "-m", "service", "--port", str(port), "--log-format", "json"]
        service += ["--queue-capacity", str(2 * BATCH)]
        with running(service, port, Path(folder) / "service.log"):
            return compare(
                f"batches of {BATCH:,} against POST /jobs, {CONNECTIONS} connections",
                "jobs",
                lambda: _batched_jobs_per_second(port),
                lambda: requests_per_second(port, script),
                rounds,
            )


def _batched_jobs_per_second(port: int) -> float:
    url = _url(port, "/jobs/batch")
    batch = Request(  # noqa: S310  # our own loopback server
        url, f"{JOB}\n".encode() * BATCH, {"Content-Type": "application/x-ndjson"}
    )
    _check_all_completed(port)
    jobs = 0
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        with urlopen(batch) as response:  # noqa: S310
            jobs += len(json.load(response)["ids"])
        _check_all_completed(port)
    return jobs / (time.perf_counter() - start)


def requests_per_second(port: int, script: Path) -> float:
    """What wrk measures in a second of posting jobs."""
    report = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, _url(port, "/jobs")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "Non-2xx" not in report, report
    assert "Socket errors" not in report, report
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert rate is not None, report
    return float(rate[1])


def _check_all_completed(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with urlopen(_url(port, "/metrics")) as response:  # noqa: S310  # our own loopback server
            metrics = json.load(response)
        if metrics["jobs_completed"] == metrics["jobs_created"]:
            return
        assert time.monotonic() < deadline, metrics
        time.sleep(0.002)


@contextmanager
def running(command: list[str], port: int, output: Path) -> Iterator[None]:
    """A server for a while, which listens at this port; what it says goes to `output`."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_listens(port)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"
