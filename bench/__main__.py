"""`python -m bench` measures speed, throughput and memory on this machine."""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.chaos import suffer_all_faults
from bench.chaos_peers import suffer_faults_beside_peers
from bench.crowds import growth_with_clients
from bench.dashboard import open_against_closed, page_under_load
from bench.durable import (
    durable_batches,
    durable_latency,
    engine_on_file_against_memory,
    post_on_file_against_memory,
)
from bench.engine import engine_against_channel
from bench.engine_peers import (
    durable_engine_against_peers,
    engine_against_peers_in_memory,
    engine_against_peers_on_redis,
)
from bench.growth import (
    growth_with_retained_jobs,
    growth_with_waiting_jobs,
    growth_with_workers,
)
from bench.growth_finished import growth_with_finished_jobs
from bench.http import batched_jobs, batches_against_single_posts, post_against_bare_route
from bench.http_peers import accepted, completed, median_latency, tail_latency
from bench.killing import kill_again_and_again
from bench.latency import latency_under_load, tail_against_bare_route
from bench.measure import Result
from bench.memory import memory_at_rest, memory_per_job
from bench.postgres import (
    cost_on_postgres,
    engines_on_postgres,
    post_on_postgres_against_memory,
)
from bench.postgres_growth import growth_on_postgres, soak_on_postgres
from bench.postgres_idle import idle_processes
from bench.postgres_notify import commit_to_start
from bench.postgres_peers import engine_on_postgres_against_peers
from bench.postgres_size import bytes_of_a_job
from bench.processes import two_cores_against_one
from bench.report import write_report
from bench.startup import start_against_import
from bench.store_open import open_with_a_million_jobs
from bench.stuck_reader import stuck_against_reading
from bench.watchdog import watched_against_unwatched


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Its name on the command line, and its rounds; with 0 quick rounds it is not a quick one."""

    name: str
    measure: Callable[[int], Result]
    rounds: int
    quick_rounds: int = 0
    needs: str | None = None
    only_by_name: bool = False

    def missing(self) -> str | None:
        """Why it can't run here; None if it can."""
        if self.needs is None or shutil.which(self.needs):
            return None
        return f"{self.name}: skipped, because it needs {self.needs} (apt-get install {self.needs})"


BENCHMARKS = [
    Benchmark("engine", engine_against_channel, rounds=25, quick_rounds=9),
    Benchmark("engine-memory", engine_against_peers_in_memory, rounds=15, quick_rounds=3),
    Benchmark("engine-redis", engine_against_peers_on_redis, rounds=7),
    Benchmark("watchdog", watched_against_unwatched, rounds=25, quick_rounds=9),
    Benchmark("post", post_against_bare_route, rounds=15, quick_rounds=5, needs="wrk"),
    Benchmark("batches", batches_against_single_posts, rounds=9, quick_rounds=3, needs="wrk"),
    Benchmark("batch-rate", batched_jobs, rounds=9, quick_rounds=3, needs="wrk"),
    Benchmark("http-accepted", accepted, rounds=5, needs="wrk"),
    Benchmark("http-completed", completed, rounds=5, needs="wrk"),
    Benchmark("http-p50", median_latency, rounds=5, needs="wrk"),
    Benchmark("http-p99", tail_latency, rounds=5, needs="wrk"),
    Benchmark("stuck-reader", stuck_against_reading, rounds=9, quick_rounds=3, needs="wrk"),
    Benchmark("dashboard", open_against_closed, rounds=9, needs="chromium"),
    Benchmark("dashboard-page", page_under_load, rounds=3, needs="chromium"),
    Benchmark("durable-engine", engine_on_file_against_memory, rounds=15, quick_rounds=5),
    Benchmark("durable-peers", durable_engine_against_peers, rounds=5),
    Benchmark("durable-post-32", partial(post_on_file_against_memory, 32, 0.75), 9, needs="wrk"),
    Benchmark("durable-post-128", partial(post_on_file_against_memory, 128, 0.9), 9, needs="wrk"),
    Benchmark("durable-batches", durable_batches, rounds=9),
    Benchmark("durable-latency", durable_latency, rounds=5, needs="wrk"),
    Benchmark("pg-engine", engines_on_postgres, rounds=9),
    Benchmark("pg-engine-cost", cost_on_postgres, rounds=9),
    Benchmark("pg-post", post_on_postgres_against_memory, rounds=9, needs="wrk"),
    Benchmark("pg-peers", engine_on_postgres_against_peers, rounds=5),
    Benchmark("pg-idle", idle_processes, rounds=3),
    Benchmark("pg-size", bytes_of_a_job, rounds=1),
    Benchmark("pg-notify", commit_to_start, rounds=5),
    Benchmark("pg-growth", growth_on_postgres, rounds=3),
    Benchmark("pg-soak", soak_on_postgres, rounds=1),
    Benchmark("start", start_against_import, rounds=15, quick_rounds=5),
    Benchmark("store-open", open_with_a_million_jobs, rounds=3),
    Benchmark("processes", two_cores_against_one, rounds=9, needs="taskset"),
    Benchmark("latency", latency_under_load, rounds=5, needs="wrk"),
    Benchmark("tail", tail_against_bare_route, rounds=9, needs="wrk"),
    Benchmark("memory", memory_at_rest, rounds=3, quick_rounds=1),
    Benchmark("memory-per-job", memory_per_job, rounds=2),
    Benchmark("growth-workers", growth_with_workers, rounds=7),
    Benchmark("growth-waiting", growth_with_waiting_jobs, rounds=7),
    Benchmark("growth-retained", growth_with_retained_jobs, rounds=7),
    Benchmark("growth-finished", growth_with_finished_jobs, rounds=3, only_by_name=True),
    Benchmark("growth-clients", growth_with_clients, rounds=2),
    Benchmark("kill", kill_again_and_again, rounds=300, only_by_name=True),
    Benchmark("chaos", suffer_all_faults, rounds=3, only_by_name=True),
    Benchmark("chaos-peers", suffer_faults_beside_peers, rounds=1, only_by_name=True),
]


def main() -> None:
    """Run the quick ones, all, or those that are named, and print and write the results."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"quick (two minutes), all, or any of: {', '.join(names)}",
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="so many instead of its own; the kills of `kill`"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the results there, JSON")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the results there, PNG")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {"quick", "all", *names}:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    results = []
    for benchmark, rounds in _chosen(set(arguments.names) or {"quick"}):
        if reason := benchmark.missing():
            print(reason, end="\n\n", flush=True)
            continue
        result = benchmark.measure(arguments.rounds or rounds)
        print(result, end="\n\n", flush=True)
        results.append(result)
    if arguments.output is not None:
        write_report(results, arguments.output)
    if arguments.plots is not None:
        from bench.plots import draw  # it needs the group `bench`

        draw(results, arguments.plots)


def _chosen(names: set[str]) -> list[tuple[Benchmark, int]]:
    chosen = []
    for benchmark in BENCHMARKS:
        if benchmark.name in names or ("all" in names and not benchmark.only_by_name):
            chosen.append((benchmark, benchmark.rounds))
        elif "quick" in names and benchmark.quick_rounds:
            chosen.append((benchmark, benchmark.quick_rounds))
    return chosen


if __name__ == "__main__":
    main()
