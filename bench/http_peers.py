"""Submissions over HTTP against other stacks: how many are accepted, completed, and how fast."""

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.request import urlopen

from bench.http import CONNECTIONS, WRK_SCRIPT, check_all_completed, rate_in, wrk_report
from bench.loopback import free_port, running, url
from bench.measure import Comparison, Goal
from bench.peers.environments import missing, title
from bench.peers.running import take_turns_with_peers
from bench.peers.serving import BROKERS, fastapi_background, fastapi_with_broker

SECONDS = 2
WARM_UP_SECONDS = 1

OURS = "POST /jobs"
BARE_QUART = "bare Quart-Trio route"
BARE_ASGI = "bare ASGI on Hypercorn"

BACKGROUND = f"{title('fastapi')}, BackgroundTasks"
WITH_BROKER = {broker: f"FastAPI, {title(broker)}" for broker in BROKERS}

# Peers take longer to run what they have accepted, and each poll would take time from them.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02

Serving = Callable[[Path], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True)
class Load:
    """The result of some seconds of posting: rates per second, and latencies in milliseconds."""

    accepted: float
    completed: float | None
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Loads:
    """The results of each side, by round; ours is the first side."""

    sides: dict[str, list[Load]]
    skipped: dict[str, str]


def accepted(rounds: int) -> Comparison:
    """Jobs accepted per second; of the bare routes, requests."""
    loads = _loads(rounds)
    return Comparison(
        f"Accepted over HTTP, {CONNECTIONS} connections",
        "requests per second",
        {side: [load.accepted for load in taken] for side, taken in loads.sides.items()},
        goals={BARE_QUART: Goal(at_least=1.4)},
        skipped=loads.skipped,
    )


def completed(rounds: int) -> Comparison:
    """Jobs completed per second, counted from the first request until all have run."""
    loads = _loads(rounds)
    sides = {
        side: [load.completed for load in taken if load.completed is not None]
        for side, taken in loads.sides.items()
        if side not in (BARE_QUART, BARE_ASGI)
    }
    return Comparison(
        f"Completed over HTTP, {CONNECTIONS} connections",
        "jobs per second",
        sides,
        goals=dict.fromkeys(WITH_BROKER.values(), Goal(at_least=1)),
        skipped=loads.skipped,
    )


def median_latency(rounds: int) -> Comparison:
    """How long half of the requests take at most."""
    loads = _loads(rounds)
    return Comparison(
        f"Latency over HTTP, p50, {CONNECTIONS} connections",
        "milliseconds",
        {side: [load.p50 for load in taken] for side, taken in loads.sides.items()},
        skipped=loads.skipped,
    )


def tail_latency(rounds: int) -> Comparison:
    """How long all but one in a hundred requests take at most."""
    loads = _loads(rounds)
    return Comparison(
        f"Latency over HTTP, p99, {CONNECTIONS} connections",
        "milliseconds",
        {side: [load.p99 for load in taken] for side, taken in loads.sides.items()},
        goals={BARE_QUART: Goal(at_most=1)},
        skipped=loads.skipped,
    )


@cache
def _loads(rounds: int) -> Loads:
    """Measure once, for all tables that show a part of it."""
    ours: dict[str, Serving] = {
        OURS: _service,
        BARE_QUART: partial(_bare, "bench.bare_route"),
        BARE_ASGI: partial(_bare, "bench.bare_asgi"),
    }
    peers: dict[str, Serving] = {}
    skipped: dict[str, str] = {}
    if reason := missing("fastapi"):
        skipped[BACKGROUND] = reason
    else:
        peers[BACKGROUND] = fastapi_background
    for broker, side in WITH_BROKER.items():
        if reason := missing(broker, on_redis=True):
            skipped[side] = reason
        else:
            peers[side] = partial(fastapi_with_broker, broker)

    taken: dict[str, list[Load]] = {side: [] for side in [*ours, *peers]}

    def measure(side: str, serving: Serving) -> float:
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as port:
            load = _load(port, Path(folder), jobs=side not in (BARE_QUART, BARE_ASGI))
        taken[side].append(load)
        return load.accepted

    rates, failed = take_turns_with_peers(
        {side: partial(measure, side, serving) for side, serving in ours.items()},
        {side: partial(measure, side, serving) for side, serving in peers.items()},
        rounds,
    )
    return Loads({side: taken[side][-rounds:] for side in rates}, skipped | failed)


def _load(port: int, folder: Path, *, jobs: bool) -> Load:
    script = folder / "post.lua"
    script.write_text(WRK_SCRIPT)
    wrk_report(port, script, WARM_UP_SECONDS)
    if not jobs:
        report = wrk_report(port, script, SECONDS)
        return Load(rate_in(report), None, _percentile_in(report, 50), _percentile_in(report, 99))
    check_all_completed(port, PATIENCE_SECONDS, PAUSE_SECONDS)
    before = _completed(port)
    start = time.perf_counter()
    report = wrk_report(port, script, SECONDS)
    check_all_completed(port, PATIENCE_SECONDS, PAUSE_SECONDS)
    seconds = time.perf_counter() - start
    rate = (_completed(port) - before) / seconds
    return Load(rate_in(report), rate, _percentile_in(report, 50), _percentile_in(report, 99))


def _completed(port: int) -> int:
    with urlopen(url(port, "/metrics")) as response:  # noqa: S310  # our own loopback server
        count: int = json.load(response)["jobs_completed"]
        return count


def _percentile_in(report: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)\b", report)
    assert found is not None, report
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1_000}[found[2]]


@contextmanager
def _service(folder: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
    with running(command, port, folder / "service.log"):
        yield port


@contextmanager
def _bare(module: str, folder: Path) -> Iterator[int]:
    port = free_port()
    with running([sys.executable, "-m", module, str(port)], port, folder / "bare.log"):
        yield port
