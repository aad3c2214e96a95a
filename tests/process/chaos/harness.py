"""Puts a crew under load, has faults happen to it, and gathers what all wrote down."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from tests.process.chaos.crew import POLL_SECONDS, PROCESSES, Crew, closing
from tests.process.chaos.faults import Fault
from tests.process.chaos.small_disk import SmallDisk
from tests.process.killing.books import Books, Clients, read_runs
from tests.process.killing.clients import Client
from tests.process.killing.harness import CLIENTS, read_all
from tests.process.killing.lives import Launch
from tests.process.killing.watchers import (
    watch_a_pause,
    watch_events,
    watch_metrics,
    watch_schedules,
)
from tests.stores.postgres.cluster import Cluster

PATIENCE_SECONDS: Final = 300.0  # for a fault and what comes of it
PAUSE_SECONDS: Final = 0.1  # of a client between two requests, on average
EXPLAINED: Final = frozenset({"store_failing", "job_lost"})
COUNTED: Final = ("job_rescued", "job_lost", "store_failing")


@dataclass(frozen=True)
class Recovery:
    """What a fault led to. Times are seconds, from its end on but for its own."""

    fault: str
    lasted: float
    answers: float  # until each process has run a job that was submitted to it
    ended: float  # until all jobs have ended that a process had in hand by then
    said: dict[str, int]  # how many lines of these kinds the logs have of it


async def go_through(
    faults: Sequence[Fault],
    launch: Launch,
    folder: Path,
    cluster: Cluster,
    *,
    seed: int,
    disk: SmallDisk | None = None,
    clients: int = CLIENTS,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[list[Recovery], Books]:
    """Have these faults happen one after the other; then let all jobs end.

    Raises AssertionError if a process ends by itself, or otherwise than it should, or does not
    recover.
    """
    book, chance = Clients(), random.Random(f"{seed}/faults")
    recoveries = list[Recovery]()
    with closing(Crew(launch, folder, cluster, book, disk)) as crew:
        async with trio.open_nursery() as nursery:
            for way in crew.ways:
                await nursery.start(way.run)
            for life in [crew.start(place) for place in range(PROCESSES)]:
                await life.started()
            async with trio.open_nursery() as watching:
                for socket in crew.sockets:
                    for watch in (watch_metrics, watch_schedules, watch_events):
                        watching.start_soon(watch, socket, book)
                async with trio.open_nursery() as working:
                    stop = trio.Event()
                    for number in range(clients):
                        each = Client(
                            f"{seed}-{number}",
                            crew.sockets,
                            book,
                            seed=seed,
                            pause_seconds=PAUSE_SECONDS,
                        )
                        working.start_soon(each.run, stop)
                    working.start_soon(watch_a_pause, crew.sockets[0], book, seed, stop)
                    for fault in faults:
                        tell(fault.__name__)
                        with trio.move_on_after(PATIENCE_SECONDS) as patience:
                            recoveries.append(await _suffer(crew, fault, chance))
                        assert not patience.cancelled_caught, f"{fault.__name__}: {crew.plight()}"
                    stop.set()
                for place in range(PROCESSES):
                    await crew.stop(place)
                    await crew.start(place, "without_schedules").started()
                listed, stories = await read_all(chance.choice(crew.sockets))
                watching.cancel_scope.cancel()
            for place in range(PROCESSES):
                await crew.stop(place)
            nursery.cancel_scope.cancel()
        runs = read_runs(folder)
        books = Books(
            *(book, runs, stories, listed, crew.lives.all, EXPLAINED), knows_all_starts=False
        )
        return recoveries, books


async def _suffer(crew: Crew, fault: Fault, chance: random.Random) -> Recovery:
    before = [len(crew.said(event)) for event in COUNTED]
    began = time.monotonic()
    await fault(crew, chance.randrange(PROCESSES))
    over = time.monotonic()
    answers = ended = 0.0

    async def answer() -> None:
        nonlocal answers
        async with trio.open_nursery() as nursery:
            for place in range(PROCESSES):
                nursery.start_soon(_answer, crew, place)
        answers = time.monotonic() - over

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        in_hand = await crew.in_hand()
        while not in_hand.isdisjoint(await crew.unfinished()):
            await trio.sleep(POLL_SECONDS)
        ended = time.monotonic() - over
    after = [len(crew.said(event)) for event in COUNTED]
    said = {event: now - then for event, now, then in zip(COUNTED, after, before, strict=True)}
    return Recovery(fault.__name__, over - began, answers, ended, said)


async def _answer(crew: Crew, place: int) -> None:
    await crew.end_of(place, await crew.submit(place))
