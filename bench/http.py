"""Submissions over HTTP, each job validated, logged and completed, one by one and in batches."""

import json
import re
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from urllib.request import Request, urlopen

from bench.loopback import free_port, running, url
from bench.measure import Comparison, Figures, Goal, take_turns

CONNECTIONS = 32
SECONDS = 1
BATCH = 5_000
BATCHES = f"POST /jobs/batch, {BATCH:,} jobs each"
SINGLE_POSTS = "POST /jobs"
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
        service = [sys.executable, "-m", "job_service", "--port", str(ours), "--log-format", "json"]
        route = [sys.executable, "-m", "bench.bare_route", str(bare)]
        with running(service, ours, log), running(route, bare, Path(folder) / "bare.log"):
            sides = take_turns(
                {
                    "POST /jobs": lambda: requests_per_second(ours, script),
                    "bare Quart-Trio route": lambda: requests_per_second(bare, script),
                },
                rounds,
            )
            check_all_completed(ours)
    return Comparison(
        f"Submission over HTTP, {CONNECTIONS} connections",
        "requests per second",
        sides,
        goals={"bare Quart-Trio route": Goal(at_least=1.4)},
    )


def batches_against_single_posts(rounds: int) -> Comparison:
    """Jobs per second in batches and one by one, all of them completed."""
    return Comparison(
        f"Batches, {CONNECTIONS} connections for single posts",
        "jobs per second",
        _batches_and_single_posts(rounds),
        goals={SINGLE_POSTS: Goal(at_least=10)},
    )


def batched_jobs(rounds: int) -> Figures:
    """Jobs per second in batches, as a figure of its own."""
    return Figures(
        "Batches, accepted and completed",
        "jobs per second",
        {BATCHES: _batches_and_single_posts(rounds)[BATCHES]},
        goals={BATCHES: Goal(at_least=20_000)},
    )


@cache
def _batches_and_single_posts(rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        port = free_port()
        service = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
        service += ["--queue-capacity", str(2 * BATCH)]
        with running(service, port, Path(folder) / "service.log"):
            return take_turns(
                {
                    BATCHES: lambda: batched_jobs_per_second(port),
                    SINGLE_POSTS: lambda: requests_per_second(port, script),
                },
                rounds,
            )


def batched_jobs_per_second(port: int) -> float:
    """Jobs per second, submitted in batches and completed."""
    batch = Request(  # noqa: S310  # our own loopback server
        url(port, "/jobs/batch"),
        f"{JOB}\n".encode() * BATCH,
        {"Content-Type": "application/x-ndjson"},
    )
    check_all_completed(port)
    jobs = 0
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        with urlopen(batch) as response:  # noqa: S310
            jobs += len(json.load(response)["ids"])
        check_all_completed(port)
    return jobs / (time.perf_counter() - start)


def requests_per_second(port: int, script: Path) -> float:
    """Requests per second, as wrk measures them while it posts jobs for a second."""
    return rate_in(wrk_report(port, script, SECONDS))


def wrk_report(port: int, script: Path, seconds: int, connections: int = CONNECTIONS) -> str:
    """The report of wrk after so many seconds of posting jobs; AssertionError if any failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    report = subprocess.run(
        [*command, "-s", script, url(port, "/jobs")], check=True, capture_output=True, text=True
    ).stdout
    assert "Non-2xx" not in report, report
    assert "Socket errors" not in report, report
    return report


def rate_in(report: str) -> float:
    """The requests per second in a report of wrk."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert rate is not None, report
    return float(rate[1])


def check_all_completed(port: int, within: float = 10, pause: float = 0.002) -> None:
    """Wait until all jobs have completed; AssertionError if that takes longer than `within`."""
    deadline = time.monotonic() + within
    while True:
        with urlopen(url(port, "/metrics")) as response:  # noqa: S310  # our own loopback server
            metrics = json.load(response)
        if metrics["jobs_completed"] == metrics["jobs_created"]:
            return
        assert time.monotonic() < deadline, metrics
        time.sleep(pause)
