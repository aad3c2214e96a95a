"""Three processes that are one service: where they listen, and their ways to the database."""

import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import trio

from tests.process.chaos.small_disk import SmallDisk
from tests.process.chaos.way import Way
from tests.process.killing.asking import ask, client
from tests.process.killing.books import Clients, Json, Receipt
from tests.process.killing.clients import TERMINAL
from tests.process.killing.lives import Launch, Life, Lives
from tests.stores.postgres.cluster import Cluster

PROCESSES: Final = 3
LEASE_SECONDS: Final = 2.0
MAX_LOSSES: Final = 100  # so that no job is taken for the one that kills
POLL_SECONDS: Final = 0.02


class Crew:
    """The processes by their places, 0 to 2. In a place, one life follows the other."""

    def __init__(
        self,
        launch: Launch,
        folder: Path,
        cluster: Cluster,
        book: Clients,
        disk: SmallDisk | None = None,
    ) -> None:
        self.cluster = cluster
        self.disk = disk
        self.book = book
        self.lives = Lives(launch, folder)
        self.sockets = [str(folder / f"{place}.sock") for place in range(PROCESSES)]
        self.ways = [Way(folder / f"way-{place}", cluster.folder) for place in range(PROCESSES)]
        self.at = dict[int, Life]()
        self.database = urlsplit(cluster.new_database()).path.removeprefix("/")
        self._keys = count()
        self._read = Counter[Life]()  # bytes of its log
        self._heard = defaultdict[Life, defaultdict[str, list[Json]]](lambda: defaultdict(list))

    def start(self, place: int, registry: str = "registry") -> Life:
        """Start a process in this place."""
        url = f"postgresql://jobs@/{self.database}?host={self.ways[place].folder}"
        life = self.at[place] = self.lives.start(
            *("--store", url, "--unix", self.sockets[place]),
            *("--lease-seconds", str(LEASE_SECONDS), "--max-losses", str(MAX_LOSSES)),
            registry=registry,
        )
        return life

    async def stop(self, place: int) -> None:
        """Have the process in this place drain."""
        self.at[place].send(signal.SIGTERM)
        assert await self.at[place].exit_status() == 0, self.at[place].last_words()

    async def submit(
        self,
        place: int,
        job_type: str = "loop",
        *,
        delay_seconds: float | None = None,
        **work: object,
    ) -> str:
        """Submit a job to the process in this place; its id."""
        key = f"crew-{next(self._keys)}"
        asked = {"type": job_type, "payload": {"key": key, **work}, "priority": 0}
        if delay_seconds is not None:
            asked["delay_seconds"] = delay_seconds
        async with client(self.sockets[place]) as http:
            answer = await ask(http, "POST", "/jobs", msgspec.json.encode(asked), key, self.book)
        told: Json = answer.raise_for_status().json()
        self.book.tell("receipt", told)
        self.book.receipts.append(Receipt(key, [asked], [told["id"]]))
        return str(told["id"])

    async def end_of(self, place: int, job_id: str) -> Json:
        """The job when it has ended, as the process in this place tells it."""
        async with client(self.sockets[place]) as http:
            while True:
                job: Json = (await ask(http, "GET", f"/jobs/{job_id}?wait=1")).json()
                if job["status"] in TERMINAL:
                    return job

    async def in_hand(self) -> set[str]:
        """The ids of all jobs that a process holds, as the database says.

        But for those of the type that is paused now and then, and has a place for one at a time.
        """
        return await self._ids("WHERE node IS NOT NULL AND type <> 'limited'")

    async def unfinished(self) -> set[str]:
        """The ids of all jobs that have not ended, as the database says."""
        return await self._ids("")

    async def _ids(self, condition: str) -> set[str]:
        rows = await trio.to_thread.run_sync(
            self.cluster.execute, f"SELECT id FROM job_service.jobs {condition}", self.database
        )
        return {job_id for (job_id,) in rows}

    def plight(self) -> str:
        """What the processes said last, which do not recover."""
        return "\n".join(f"{place}: {life.last_words()}" for place, life in self.at.items())

    def said(self, event: str) -> list[Json]:
        """What all logs say of this kind."""
        for life in self.lives.all:
            self._read_on(life)
        return [line for life in self.lives.all for line in self._heard[life][event]]

    def said_in(self, place: int, event: str) -> list[Json]:
        """What the log of the process in this place says of this kind."""
        self._read_on(self.at[place])
        return self._heard[self.at[place]][event]

    def _read_on(self, life: Life) -> None:
        """Take in what was added to a log, because all of it would take too long."""
        with life.log.open("rb") as log:
            log.seek(self._read[life])
            complete = log.read().rpartition(b"\n")[0]
        if complete:
            self._read[life] += len(complete) + 1
            for line in map(msgspec.json.decode, complete.splitlines()):
                self._heard[life][line["event"]].append(line)

    async def until_said(self, event: str, job_id: str) -> None:
        """Return when a log says this of a job."""
        while not any(line["job_id"] == job_id for line in self.said(event)):
            await trio.sleep(POLL_SECONDS)


@contextmanager
def closing(crew: Crew) -> Iterator[Crew]:
    """Whatever happens, no process is left."""
    try:
        yield crew
    finally:
        crew.lives.close()
