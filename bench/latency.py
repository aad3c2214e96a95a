"""How long a job takes from its submission to its start, as the load nears saturation."""

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from bench.arrivals import Answered, percentile, submit
from bench.http import WRK_SCRIPT, requests_per_second
from bench.loopback import free_port, running
from bench.measure import Comparison, Figures, Goal, show_progress, take_turns

LOADS = (0.1, 0.5, 0.9)
JOBS = 1_000  # at each load, in each round
TAIL_JOBS = 4_000
TAIL_LOAD = 0.5
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
SEED = 1
SETTLE_SECONDS = 0.5
MILLISECONDS = 1e3


class Line(msgspec.Struct):
    """The fields of a log line that are needed here."""

    event: str
    timestamp: datetime
    job_id: str = ""


class Receipt(msgspec.Struct):
    """The fields of the answer to a submission that are needed here."""

    id: str


def latency_under_load(rounds: int) -> Figures:
    """Milliseconds from when a submission was due, at random intervals, to its `job_started`.

    Saturation is the rate that wrk reaches in a second; each round measures it anew.
    """
    rows: dict[str, list[float]] = {
        f"{load:.0%} of saturation, {name}": [] for load in LOADS for name in PERCENTILES
    }
    chance = random.Random(SEED)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script, log = Path(folder) / "post.lua", Path(folder) / "log"
        script.write_text(WRK_SCRIPT)
        with running(_service(port), port, log):
            for turn in range(1, rounds + 1):
                show_progress(f"saturation, round {turn} of {rounds}")
                saturation = requests_per_second(port, script)
                for load in LOADS:
                    show_progress(f"latency at {load:.0%}, round {turn} of {rounds}")
                    waited = _until_started(log, submit(port, JOBS, load * saturation, chance))
                    for name, share in PERCENTILES.items():
                        rows[f"{load:.0%} of saturation, {name}"].append(percentile(waited, share))
    show_progress("")
    return Figures("From POST to job_started", "ms", rows)


def tail_against_bare_route(rounds: int) -> Comparison:
    """The p99.9 of that at half of saturation, and of a bare route's answers at half of its own."""
    chance = random.Random(SEED)
    ours, bare = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        script, log = Path(folder) / "post.lua", Path(folder) / "log"
        script.write_text(WRK_SCRIPT)

        def submit_half(port: int) -> list[Answered]:
            rate = TAIL_LOAD * requests_per_second(port, script)
            return submit(port, TAIL_JOBS, rate, chance)

        def until_started() -> float:
            return percentile(_until_started(log, submit_half(ours)), 0.999)

        def until_answered() -> float:
            answers = submit_half(bare)
            waited = [(answer.answered - answer.due) * MILLISECONDS for answer in answers]
            return percentile(waited, 0.999)

        route = [sys.executable, "-m", "bench.bare_route", str(bare)]
        with (
            running(_service(ours), ours, log),
            running(route, bare, Path(folder) / "bare.log"),
        ):
            sides = take_turns(
                {"POST to job_started": until_started, "bare Quart-Trio route": until_answered},
                rounds,
            )
    return Comparison(
        "Tail at half of saturation, p99.9",
        "ms",
        sides,
        goals={"bare Quart-Trio route": Goal(at_most=2)},
    )


def _service(port: int) -> list[str]:
    return [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]


def _until_started(log: Path, answers: Sequence[Answered]) -> list[float]:
    """The milliseconds until each of the jobs started."""
    time.sleep(SETTLE_SECONDS)
    due = {msgspec.json.decode(answer.body, type=Receipt).id: answer.due for answer in answers}
    decoder = msgspec.json.Decoder(Line)
    waited = []
    with log.open("rb") as lines:
        for text in lines:
            if b'"job_started"' in text:
                line = decoder.decode(text)
                if line.job_id in due:
                    waited.append((line.timestamp.timestamp() - due[line.job_id]) * MILLISECONDS)
    assert len(waited) == len(due), f"{len(due) - len(waited)} jobs were not started"
    return waited
