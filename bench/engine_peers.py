"""No-op jobs through the whole engine against other job queues, in memory and on Redis."""

from dataclasses import dataclass

import trio

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

    @property
    def side(self) -> str:
        """Its name in the table."""
        return f"{title(self.library)}, {self.kind}"

    def rate(self) -> float:
        """Jobs per second, with a redis-server of its own if it needs one."""
        if not self.on_redis:
            return jobs_per_second(self.library, self.script, self.jobs)
        with redis_server() as redis_url:
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


def engine_against_peers_in_memory(rounds: int) -> Comparison:
    """Jobs per second; ours logs and counts, and of the others only one logs."""
    return _engine_against("peers in memory", IN_MEMORY, Goal(at_least=1.25), rounds)


def engine_against_peers_on_redis(rounds: int) -> Comparison:
    """Jobs per second; their jobs survive a crash, and ours do not."""
    return _engine_against("peers on Redis", ON_REDIS, Goal(at_least=10), rounds)


def _engine_against(what: str, peers: list[Peer], goal: Goal, rounds: int) -> Comparison:
    skipped: dict[str, str] = {}
    rates: dict[str, RateOf] = {}
    for peer in peers:
        if reason := missing(peer.library, on_redis=peer.on_redis):
            skipped[peer.side] = reason
        else:
            rates[peer.side] = peer.rate
    ours = {"engine, all telemetry on": lambda: trio.run(our_jobs_per_second)}
    sides, failed = take_turns_with_peers(ours, rates, rounds)
    return Comparison(
        f"Engine against {what}, {WORKERS} workers",
        "jobs per second",
        sides,
        goals=dict.fromkeys(rates, goal),
        skipped=skipped | failed,
    )
