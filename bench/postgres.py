"""What it costs to keep jobs in PostgreSQL: in engines of one and of two processes, and by HTTP."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Final

from tests.stores.postgres.cluster import Cluster, why_there_is_none

from bench.engine import WORKERS
from bench.http import WRK_SCRIPT, check_all_completed, rate_in, wrk_report
from bench.inprocess import MICROSECONDS
from bench.loopback import free_port, running
from bench.measure import Comparison, Figures, Goal, Result, take_turns
from bench.postgres_server import postgres_server, seconds_computed

JOBS: Final = 6_000  # in all processes together
CONNECTIONS: Final = 64
SECONDS: Final = 2
CAPACITY: Final = 5_000
PROCESSES: Final = {"one process": 1, "two processes": 2}
UNFINISHED: Final = """
    SELECT coalesce(sum(jobs), 0) FROM job_service.counts
    WHERE status IN ('pending', 'processing')
"""


def engines_on_postgres(rounds: int) -> Figures:
    """No-op jobs per second, submitted by batches and completed."""
    return Figures(
        f"PostgreSQL, {WORKERS} workers in each process, submitted by batches and completed",
        "jobs per second",
        {name: values for name, values in _measured(rounds).items() if name in PROCESSES},
        skipped=_skipped(),
    )


def cost_on_postgres(rounds: int) -> Figures:
    """The processor time of each of these jobs, in the loops' threads and in the server."""
    return Figures(
        "PostgreSQL, processor time of a job",
        "microseconds",
        {name: values for name, values in _measured(rounds).items() if name not in PROCESSES},
        skipped=_skipped(),
    )


def post_on_postgres_against_memory(rounds: int) -> Result:
    """Requests per second of `POST /jobs`, answered when the job is kept."""
    name = f"POST /jobs, in PostgreSQL, {CONNECTIONS} connections"
    if skipped := _skipped():
        return Figures(name, "requests per second", {}, skipped=skipped)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = folder / "post.lua"
        script.write_text(WRK_SCRIPT)
        cluster = stack.enter_context(postgres_server())

        def service(store: str, log: str) -> Callable[[], float]:
            port = free_port()
            command = [sys.executable, "-m", "job_service", "--port", str(port)]
            command += ["--log-format", "json", "--queue-capacity", str(CAPACITY)]
            stack.enter_context(running([*command, "--store", store], port, folder / log))
            return partial(_posts_per_second, port, script)

        sides = take_turns(
            {
                "in PostgreSQL": service(cluster.new_database(), "postgres.log"),
                "in memory": service("memory", "memory.log"),
            },
            rounds,
        )
    return Comparison(name, "requests per second", sides, goals={"in memory": Goal(at_least=0.6)})


def _posts_per_second(port: int, script: Path) -> float:
    rate = rate_in(wrk_report(port, script, SECONDS, CONNECTIONS))
    check_all_completed(port)
    return rate


def _skipped() -> dict[str, str]:
    why = why_there_is_none()
    return {} if why is None else {"in PostgreSQL": why}


@cache
def _measured(rounds: int) -> Mapping[str, list[float]]:
    """Jobs per second by the number of processes, and what each job has cost."""
    if _skipped():
        return {}
    costs: dict[str, list[float]] = {}
    with postgres_server() as cluster:
        url = cluster.new_database()
        sides = {
            name: partial(jobs_per_second, cluster, url, number, partial(_note, costs, name))
            for name, number in PROCESSES.items()
        }
        rates = take_turns(sides, rounds)
    return rates | {name: values[1:] for name, values in costs.items()}  # without the warm-up


def _note(costs: dict[str, list[float]], name: str, of: str, seconds: float) -> None:
    costs.setdefault(f"{of}, {name}", []).append(seconds / JOBS * MICROSECONDS)


def jobs_per_second(
    cluster: Cluster,
    url: str,
    processes: int,
    note: Callable[[str, float], None],
    retain: int = 1_000,
) -> float:
    """How many jobs these processes submit and complete in a second, beside others that wait.

    What was computed for all of them is noted.
    """
    import psycopg

    with (
        psycopg.connect(url, autocommit=True) as connection,
        _engines(url, processes, retain) as engines,
    ):
        others = connection.execute(UNFINISHED).fetchone()
        computed = seconds_computed(cluster)
        start = time.perf_counter()
        for engine in engines:
            _say(engine)
        for engine in engines:
            assert _line_of(engine) == "submitted\n"
        while connection.execute(UNFINISHED).fetchone() != others:
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        note("server", seconds_computed(cluster) - computed)
        for engine in engines:
            _say(engine)
        note("loop", sum(float(_line_of(engine)) for engine in engines))
    return JOBS / seconds


@contextmanager
def _engines(url: str, number: int, retain: int = 1_000) -> Iterator[list[subprocess.Popen[str]]]:
    """So many engines, which are ready to begin."""
    command = [sys.executable, "-m", "bench.postgres_process", url]
    command += [str(JOBS // number), str(retain)]
    with ExitStack() as stack:
        engines = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(number)
        ]
        for engine in engines:
            assert _line_of(engine) == "ready\n"
        yield engines


def _say(engine: subprocess.Popen[str]) -> None:
    assert engine.stdin is not None
    engine.stdin.write("\n")
    engine.stdin.flush()


def _line_of(engine: subprocess.Popen[str]) -> str:
    assert engine.stdout is not None
    return engine.stdout.readline()
