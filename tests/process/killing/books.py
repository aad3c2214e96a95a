"""What each of those who took part has written down, to be compared at the end."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from tests.process.killing.handlers import LEDGER, Entry
from tests.process.killing.lives import Life

Json = dict[str, Any]
Fault = tuple[str, str]  # the id of a job, and what is wrong with it


@dataclass(frozen=True)
class Receipt:
    """A submission that was answered: what was asked for, in its order, and the ids for it."""

    key: str
    asked: list[Json]
    ids: list[str]
    retry_of: str | None = None


@dataclass(frozen=True)
class Told:
    """What a client was told of a job, and when, in nanoseconds of the monotonic clock."""

    at: int
    by: str
    job: Json


@dataclass
class Clients:
    """What all clients were told."""

    receipts: list[Receipt] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)  # ids of jobs of which a client asked that
    metrics: int = 0  # answers of /metrics
    repeated: int = 0  # requests that got no answer
    wrong: list[Fault] = field(default_factory=list)  # answers that were wrong in themselves

    def tell(self, by: str, job: Json) -> None:
        """A client was told this just now."""
        self.told.append(Told(time.monotonic_ns(), by, job))


@dataclass(frozen=True)
class Books:
    """All that there is to compare. `stories` are those of the store in the end, by id."""

    clients: Clients
    runs: list[Entry]
    stories: dict[str, Json]
    listed: list[str]  # ids, in the order of the pages
    lives: list[Life]
    explained: frozenset[str] = frozenset()  # events that are errors, and expected
    knows_all_starts: bool = True  # also those that were not told before a crash

    def life_of(self, run: Entry) -> Life:
        """The process in which a handler wrote this, or whose child it was."""
        [life] = [life for life in self.lives if life.process.pid in (run.pid, run.parent)]
        return life

    @cached_property
    def refused(self) -> set[tuple[int, str, int]]:
        """Number of the life, job and attempt, if the store refused what the attempt did."""
        return {
            (life.number, line["job_id"], line["attempt"])
            for life in self.lives
            for line in life.lines()
            if line["event"] == "job_lost"
        }

    def was_refused(self, run: Entry) -> bool:
        """Whether other processes had the job by then, because the lease of this one was over."""
        return (self.life_of(run).number, run.job_id, run.attempt) in self.refused

    def all_of(self, job_id: str) -> str:
        """What each of them says of this job."""
        receipts, told = self.clients.receipts, self.clients.told
        parts = [f"store: {self.stories.get(job_id)}"]
        parts += [f"receipt: {receipt.key}" for receipt in receipts if job_id in receipt.ids]
        parts += [f"client: {each}" for each in told if each.job.get("id") == job_id]
        parts += [f"handler: {run}" for run in self.runs if run.job_id == job_id]
        for life in self.lives:
            parts.append(f"process {life.number}: {life.began} to {life.ended}")
            parts += [f"  {line}" for line in life.lines() if line.get("job_id") == job_id]
        return "\n  ".join(parts)


def read_runs(folder: Path) -> list[Entry]:
    """The ledger of the handlers."""
    ledger = folder / LEDGER
    lines = ledger.read_bytes().splitlines() if ledger.exists() else []
    return [msgspec.json.decode(line, type=Entry) for line in lines]
