"""Two processes of a system on one database, a client of it, and a supervisor for all of them."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.stores.postgres.cluster import Cluster

from bench.peers.environments import ROOT
from bench.peers.ledger import lines
from bench.peers.lost_answer import Way

PROCESSES: Final = 2
POLL_SECONDS: Final = 0.02
START_SECONDS: Final = 90.0
UP_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class System:
    """How its processes are started, each with the URL of the database at the end."""

    library: str
    worker: Sequence[str]
    client: Sequence[str]
    unfinished: str
    is_done: str  # a job with this key
    made: str  # how many jobs have this key


class Team:
    """The processes; one that ends is started again, as any supervisor does."""

    PATIENCE: ClassVar[float] = 20.0  # seconds, after which a hand would have to help

    def __init__(self, system: System, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.restarts = 0
        self._system = system
        self._folder = folder
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._url = cluster.new_database()
        self._database = self._url.partition("@/")[2].partition("?")[0]
        self._workers: list[subprocess.Popen[Any]] = []
        self.way = Way(folder / "way", cluster.folder)

    def __enter__(self) -> "Team":
        self._client = subprocess.Popen(
            [*self._system.client, self._url.replace(str(self.cluster.folder), self.way.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._answer() == "ready"
        self._workers = [self._start() for _ in range(PROCESSES)]
        self._until_all_run_jobs()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._client, *self._workers):
            process.kill()
            process.communicate()
        self.way.close()

    def _start(self) -> "subprocess.Popen[Any]":
        return subprocess.Popen(
            [*self._system.worker, self._url, *self._arguments()],
            cwd=ROOT,
            env={**os.environ, "BENCH_LEDGER": str(self._ledger)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _until_all_run_jobs(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for number in count():
            if len({line["pid"] for line in lines(self._ledger)}) == PROCESSES:
                return
            assert time.monotonic() < deadline, "they do not start"
            self.send(f"up {number}", UP_SECONDS)
            time.sleep(UP_SECONDS)

    def _arguments(self) -> list[str]:
        return [] if self._system.library == "ours" else [str(self._ledger)]

    def _tend(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self.restarts += 1
                self._workers[place] = self._start()

    def _answer(self) -> str:
        assert self._client.stdout is not None
        return self._client.stdout.readline().strip()

    def send(
        self, key: str, seconds: float, *, blocks: bool = False, patiently: bool = False
    ) -> None:
        """Enqueue a job; `patiently` again and again, until it is accepted."""
        deadline = time.monotonic() + self.PATIENCE
        while True:
            answer = self.order(key, seconds, blocks=blocks, is_unique=patiently)
            if answer == "ok" or time.monotonic() > deadline:
                return
            assert patiently, answer
            self._tend()
            time.sleep(POLL_SECONDS)

    def order(
        self, key: str, seconds: float, *, blocks: bool = False, is_unique: bool = False
    ) -> str:
        """Enqueue a job, and say what the client was told."""
        order = {"key": key, "seconds": seconds, "blocks": blocks, "is_unique": is_unique}
        assert self._client.stdin is not None
        self._client.stdin.write(json.dumps(order) + "\n")
        self._client.stdin.flush()
        return self._answer()

    def runs(self, key: str, seconds: float) -> int:
        """Have a job of that length run, and say in which process, when it has begun."""
        self.send(key, seconds)
        assert self.until(lambda: bool(self.noted(key, "started"))), "it does not start"
        return int(self.noted(key, "started")[0]["pid"])

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to this process."""
        os.kill(pid, number)

    def noted(self, key: str, what: str) -> list[dict[str, Any]]:
        """What handlers wrote down of a job."""
        return [line for line in lines(self._ledger) if (line["key"], line["what"]) == (key, what)]

    def ran_twice(self) -> int:
        """How many jobs have started more than once."""
        started = [line["key"] for line in lines(self._ledger) if line["what"] == "started"]
        return sum(started.count(key) > 1 for key in set(started))

    def is_done(self, key: str) -> bool:
        """Whether the database has the job for done."""
        return bool(self._ask(self._system.is_done, key))

    def made(self, key: str) -> int:
        """How many jobs with this key the database has."""
        return int(self._ask(self._system.made, key))

    def unfinished(self) -> int:
        """How many jobs the database has for not done."""
        return int(self._ask(self._system.unfinished))

    def end_connections(self) -> None:
        """End all connections to the database."""
        self._ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def _ask(self, query: str, *values: object) -> Any:
        import psycopg

        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute(query.encode(), values or None).fetchone()
        assert row is not None
        return row[0]

    def until(self, holds: Callable[[], bool]) -> bool:
        """Whether this holds at last, within the patience that there is."""
        return self.seconds_until(holds, time.monotonic()) is not None

    def seconds_until(self, holds: Callable[[], bool], since: float) -> float | None:
        """How long it took until this held; None if that is too long."""
        while True:
            self._tend()
            if holds():
                return time.monotonic() - since
            if time.monotonic() > since + self.PATIENCE:
                return None
            time.sleep(POLL_SECONDS)
