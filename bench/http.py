"""Submissions over HTTP, each job validated, logged and completed, one by one and in batches."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from bench.loopback import free_port, running, url
from bench.measure import Comparison, Goal, take_turns

CONNECTIONS = 32
SECONDS = 1
BATCH = 5_000
JOB = '{"type":"echo","payload":{"n":1}}'

WRK_SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{JOB}'
"""


def post_against_bare_route(rounds: int) -> Comparison:
    """Requests per second of `POST /jobs` and of a route that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        log = Path(folder) / "service.log"
        ours, bare = free_port(), free_port()
        service = [sys.executable, "-m", "service", "--port", str(ours), "--log-format", "json"]
        route = [sys.executable, "-m", "bench.bare_route", str(bare)]
        with running(service, ours, log), running(route, bare, Path(folder) / "bare.log"):
            sides = take_turns(
                {
                    "POST /jobs": lambda: requests_per_second(ours, script),
                    "bare Quart-Trio route": lambda: requests_per_second(bare, script),
                },
                rounds,
            )
            _check_all_completed(ours)
    return Comparison(
        f"Submission over HTTP, {CONNECTIONS} connections",
        "requests per second",
        sides,
        goals={"bare Quart-Trio route": Goal(at_least=1.4)},
    )


def batches_against_single_posts(rounds: int) -> Comparison:
    """Jobs per second in batches and one by one, all of them completed."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        port = free_port()
        service = [sys.executable, "-m", "service", "--port", str(port), "--log-format", "json"]
        service += ["--queue-capacity", str(2 * BATCH)]
        with running(service, port, Path(folder) / "service.log"):
            sides = take_turns(
                {
                    f"POST /jobs/batch, {BATCH:,} jobs each": lambda: _batched_jobs_per_second(
                        port
                    ),
                    "POST /jobs": lambda: requests_per_second(port, script),
                },
                rounds,
            )
    return Comparison(
        f"Batches, {CONNECTIONS} connections for single posts",
        "jobs per second",
        sides,
        goals={"POST /jobs": Goal(at_least=10)},
    )


def _batched_jobs_per_second(port: int) -> float:
    batch = Request(  # noqa: S310  # our own loopback server
        url(port, "/jobs/batch"),
        f"{JOB}\n".encode() * BATCH,
        {"Content-Type": "application/x-ndjson"},
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
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, url(port, "/jobs")],
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
        with urlopen(url(port, "/metrics")) as response:  # noqa: S310  # our own loopback server
            metrics = json.load(response)
        if metrics["jobs_completed"] == metrics["jobs_created"]:
            return
        assert time.monotonic() < deadline, metrics
        time.sleep(0.002)
