"""No-op jobs through the whole engine against other job queues: in memory, on Redis, kept."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

import trio

from bench.durable import sent_one_by_one as durable_jobs_per_second
from bench.engine import WORKERS
from bench.engine import jobs_per_second as our_jobs_per_second
from bench.measure import Comparison, Goal, RateOf
from bench.peers.environments import missing, title
from bench.peers.redis_server import redis_server
from bench.peers.running import jobs_per_second, take_turns_with_peers


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, its script and how many jobs it runs in one to two seconds."""

    library: str
    kind: str
    script: str
    jobs: int
    on_redis: bool = False
    appendfsync: str | None = None  # of Redis

    @property
    def side(self) -> str:
        """Its name in the table."""
        return f"{title(self.library)}, {self.kind}"

    def rate(self) -> float:
        """Jobs per second, with a redis-server of its own if it needs one."""
        if not self.on_redis:
            return jobs_per_second(self.library, self.script, self.jobs)
        with redis_server(self.appendfsync) as redis_url:
            return jobs_per_second(self.library, self.script, self.jobs, redis_url)


IN_MEMORY = [
    Peer("huey", "MemoryHuey", "huey_memory", jobs=20_000),
    Peer("huey", "MemoryHuey with its log", "huey_memory_logged", jobs=10_000),
    Peer("taskiq", "InMemoryBroker", "taskiq_memory", jobs=20_000),
    Peer("dramatiq", "StubBroker", "dramatiq_stub", jobs=10_000),
]
ON_REDIS = [
    Peer("taskiq", "Redis streams", "taskiq_redis", jobs=2_000, on_redis=True),
    Peer("dramatiq", "Redis", "dramatiq_redis", jobs=2_000, on_redis=True),
    Peer("saq", "Redis", "saq_redis", jobs=1_000, on_redis=True),
    Peer("arq", "Redis", "arq_redis", jobs=1_000, on_redis=True),
    Peer("streaq", "Redis, on Trio", "streaq_redis", jobs=1_000, on_redis=True),
]
KEPT = [
    Peer("huey", "SqliteHuey with fsync", "huey_sqlite", jobs=1_000),
    *(
        Peer(library, f"Redis, appendfsync {when}", script, jobs, on_redis=True, appendfsync=when)
        for when in ("always", "everysec")
        for library, script, jobs in (
            ("taskiq", "taskiq_redis", 2_000),
            ("saq", "saq_redis", 1_000),
        )
    ),
]


def engine_against_peers_in_memory(rounds: int) -> Comparison:
    """Jobs per second; ours logs and counts, and of the others only one logs."""
    ours = {"engine, all telemetry on": lambda: trio.run(our_jobs_per_second)}
    return _against("Engine against peers in memory", ours, IN_MEMORY, 1.25, rounds)


def engine_against_peers_on_redis(rounds: int) -> Comparison:
    """Jobs per second; their jobs survive a crash, and ours do not."""
    ours = {"engine, all telemetry on": lambda: trio.run(our_jobs_per_second)}
    return _against("Engine against peers on Redis", ours, ON_REDIS, 10, rounds)


def durable_engine_against_peers(rounds: int) -> Comparison:
    """Jobs per second, sent by ten senders one by one; each is kept before it is accepted."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"sqlite:{folder}/jobs.db"
        ours = {"engine, each job in a file": lambda: trio.run(durable_jobs_per_second, file)}
        return _against("Durable engine against durable peers", ours, KEPT, 3, rounds)


def _against(
    what: str, ours: Mapping[str, RateOf], peers: list[Peer], at_least: float, rounds: int
) -> Comparison:
    skipped: dict[str, str] = {}
    rates: dict[str, RateOf] = {}
    for peer in peers:
        if reason := missing(peer.library, on_redis=peer.on_redis):
            skipped[peer.side] = reason
        else:
            rates[peer.side] = peer.rate
    sides, failed = take_turns_with_peers(ours, rates, rounds)
    return Comparison(
        f"{what}, {WORKERS} workers",
        "jobs per second",
        sides,
        goals=dict.fromkeys(rates, Goal(at_least=at_least)),
        skipped=skipped | failed,
    )
