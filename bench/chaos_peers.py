"""The same faults for ours and for other libraries on PostgreSQL, and what became of the jobs."""

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.stores.postgres.cluster import Cluster, running_cluster, why_there_is_none

from bench.measure import Figures, show_progress
from bench.peers.environments import missing, python_of, title
from bench.peers.ledger import LEASE_SECONDS
from bench.peers.team import System, Team

TOO_LONG: Final = 2 * LEASE_SECONDS
SHORT: Final = 0.1
LONG: Final = 1.5 * LEASE_SECONDS
DOWN_SECONDS: Final = LEASE_SECONDS / 2

SYSTEMS: Final = [
    System(
        "ours",
        worker=[
            *(sys.executable, "-m", "job_service", "--port", "0", "--log-format", "json"),
            *("--jobs", "bench.faulty_jobs:registry", "--lease-seconds", str(LEASE_SECONDS)),
            "--store",
        ],
        client=[sys.executable, "-m", "bench.faulty_jobs"],
        unfinished="SELECT count(*) FROM job_service.jobs",
        is_done="SELECT EXISTS (SELECT FROM job_service.finished WHERE payload::json->>'key' = %s)",
        made="""
            SELECT count(*) FROM (
                SELECT payload FROM job_service.jobs UNION ALL
                SELECT payload FROM job_service.finished
            ) AS every WHERE payload::json->>'key' = %s
        """,
    ),
    System(
        "procrastinate",
        worker=[python_of("procrastinate"), "-m", "bench.peers.procrastinate_faults", "worker"],
        client=[python_of("procrastinate"), "-m", "bench.peers.procrastinate_faults", "client"],
        unfinished="""
            SELECT count(*) FROM procrastinate_jobs
            WHERE task_name = 'work' AND status IN ('todo', 'doing')
        """,
        is_done="""
            SELECT EXISTS (
                SELECT FROM procrastinate_jobs WHERE status = 'succeeded' AND args->>'key' = %s
            )
        """,
        made="SELECT count(*) FROM procrastinate_jobs WHERE args->>'key' = %s",
    ),
    System(
        "pgqueuer",
        worker=[python_of("pgqueuer"), "-m", "bench.peers.pgqueuer_faults", "worker"],
        client=[python_of("pgqueuer"), "-m", "bench.peers.pgqueuer_faults", "client"],
        unfinished="SELECT count(*) FROM pgqueuer",
        is_done="""
            SELECT NOT EXISTS (
                SELECT FROM pgqueuer WHERE convert_from(payload, 'UTF8')::json->>'key' = %s
            )
        """,
        made="""
            SELECT count(*) FROM pgqueuer WHERE convert_from(payload, 'UTF8')::json->>'key' = %s
        """,
    ),
]

Fault = Callable[[Team], str]  # what there is to say beside times and counts


def kill(team: Team) -> str:
    """Kill the process that runs a job."""
    team.signal(team.runs("long", LONG), signal.SIGKILL)
    return ""


def freeze(team: Team) -> str:
    """SIGSTOP until another runs the job, then SIGCONT: it ends there while the other runs it."""
    seconds = 3 * LEASE_SECONDS
    pid = team.runs("long", seconds)
    until = time.monotonic() + seconds
    team.signal(pid, signal.SIGSTOP)
    try:
        ran_elsewhere = team.until(lambda: len(team.noted("long", "started")) > 1)
        time.sleep(max(0.0, until - time.monotonic()))
    finally:
        team.signal(pid, signal.SIGCONT)
    if not ran_elsewhere:
        return "nobody else ran its job"
    while True:
        is_done = team.is_done("long")
        if any(line["pid"] != pid for line in team.noted("long", "ended")):
            return "its late result was refused"
        if is_done:
            return "its late result was taken while the other ran"
        time.sleep(0.01)


def block(team: Team) -> str:
    """A handler blocks the loop for longer than the lease."""
    team.send("block", TOO_LONG, blocks=True)
    team.until(lambda: len(team.noted("block", "ended")) > 0)
    return ""


def restart_server(team: Team) -> str:
    """The server stops as in a crash, and starts again."""
    return _stop_server(team, DOWN_SECONDS)


def lose_server(team: Team) -> str:
    """The same, for longer than the lease."""
    return _stop_server(team, TOO_LONG)


def _stop_server(team: Team, seconds: float) -> str:
    team.runs("long", LONG)
    team.cluster.stop("immediate")
    time.sleep(seconds)
    team.cluster.start()
    return ""


def cut(team: Team) -> str:
    """All connections end, once."""
    team.runs("long", LONG)
    team.end_connections()
    return ""


def fill_connections(team: Team) -> str:
    """Others take all connections for two leases, and all processes lose theirs."""
    import psycopg

    team.runs("long", LONG)
    over = time.monotonic() + TOO_LONG
    with ExitStack() as taken:
        team.end_connections()
        while time.monotonic() < over:
            with suppress(psycopg.OperationalError):
                connection = psycopg.connect(team.cluster.url(), autocommit=True)
                taken.enter_context(connection)
    return ""


def lose_answer(team: Team) -> str:
    """The connection of who enqueues breaks after the commit, and it enqueues the same again."""
    team.way.break_if(lambda: team.made("twice") > 0)
    told = team.order("twice", LONG, is_unique=True)
    told_again = team.order("twice", LONG, is_unique=True)
    return f"told {told}, and when it asked again {told_again}; jobs made: {team.made('twice')}"


FAULTS: Final[Sequence[Fault]] = [
    kill,
    freeze,
    block,
    restart_server,
    lose_server,
    cut,
    fill_connections,
    lose_answer,
]


def suffer_faults_beside_peers(_: int) -> Figures:
    """Each fault once for each; prints a table, and counts what a hand would have had to do."""
    name = f"Two processes, a lease of {LEASE_SECONDS:g} s, jobs that wait for a hand"
    if (why := why_there_is_none()) is not None:
        return Figures(name, "count", {}, skipped={"all of it": why})
    skipped, rows, stuck = dict[str, str](), list[str](), dict[str, list[float]]()
    for system in SYSTEMS:
        title_of = system.library if system.library == "ours" else title(system.library)
        if system.library != "ours" and (why := missing(system.library)) is not None:
            skipped[title_of] = why
            continue
        left = 0
        for fault in FAULTS:
            show_progress(f"{title_of}: {fault.__name__}")
            with running_cluster(max_connections="30") as cluster:
                outcome = _suffer(system, fault, cluster)
            left += outcome.stuck
            rows.append(f"| {fault.__name__.replace('_', ' ')} | {title_of} | {outcome} |")
        stuck[title_of] = [float(left)]
    show_progress("")
    print("| fault | | answers after | all done after | ran twice | restarts | |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(sorted(rows, key=lambda row: _place(row))))
    return Figures(name, "count", stuck, skipped=skipped)


@dataclass(frozen=True, slots=True)
class _Outcome:
    answers: float | None
    ended: float | None
    twice: int
    restarts: int
    stuck: int
    remark: str

    def __str__(self) -> str:
        remarks = [self.remark] if self.remark else []
        if self.stuck:
            remarks.append(f"{self.stuck} not done after {Team.PATIENCE:g} s")
        times = [_seconds(self.answers), _seconds(self.ended), str(self.twice), str(self.restarts)]
        return " | ".join([*times, "; ".join(remarks)])


def _suffer(system: System, fault: Fault, cluster: Cluster) -> _Outcome:
    with tempfile.TemporaryDirectory() as folder, Team(system, cluster, Path(folder)) as team:
        for number in range(10):
            team.send(f"before {number}", SHORT)
        remark = fault(team)
        over = time.monotonic()
        for number in range(4):
            team.send(f"after {number}", SHORT, patiently=True)
        answers = team.seconds_until(
            lambda: all(team.noted(f"after {number}", "ended") for number in range(4)), over
        )
        ended = team.seconds_until(lambda: team.unfinished() == 0, over)
        return _Outcome(answers, ended, team.ran_twice(), team.restarts, team.unfinished(), remark)


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def _place(row: str) -> int:
    return [fault.__name__.replace("_", " ") for fault in FAULTS].index(row.split("|")[1].strip())
