"""Ends services again and again under a load that goes on, and gathers what all wrote down."""

import random
import signal
from collections.abc import Sequence
from functools import partial
from typing import Final

import httpx
import trio

from tests.process.killing.asking import ask, client
from tests.process.killing.books import Books, Clients, Json, read_runs
from tests.process.killing.clients import Client
from tests.process.killing.endings import End
from tests.process.killing.lives import Lives
from tests.process.killing.watchers import (
    LOOK_SECONDS,
    watch_a_pause,
    watch_events,
    watch_metrics,
    watch_schedules,
)

CLIENTS: Final = 6
MAX_LOSSES: Final = 100  # so that no job is taken for the one that kills
PAGE: Final = 200
IDLE_SECONDS: Final = 120.0  # that all jobs may take to end when nothing more comes in


async def end_again_and_again(
    lives: Lives,
    end: End,
    *,
    times: int,
    seed: int,
    only_good: bool = False,
    options: Sequence[str] = (),
) -> Books:
    """Start services and end them, so many times; then let a last one finish all jobs.

    Raises AssertionError if one of them ends by itself, or otherwise than it should.
    """
    book, stop = Clients(), trio.Event()
    options = ["--max-losses", str(MAX_LOSSES), *options]
    chance = random.Random(f"{seed}/ends")
    clients = [
        Client(f"{seed}-{each}", [lives.socket], book, seed=seed, only_good=only_good)
        for each in range(CLIENTS)
    ]
    async with trio.open_nursery() as watching:
        for watch in (watch_metrics, watch_schedules, watch_events):
            watching.start_soon(watch, lives.socket, book)
        async with trio.open_nursery() as working:
            for each in clients:
                working.start_soon(each.run, stop)
            working.start_soon(watch_a_pause, lives.socket, book, seed, stop)
            for _ in range(times):
                await end(lives.start(*options), chance, chance.choice(clients).next_receipt)
            stop.set()
            life = lives.start(*options, registry="without_schedules")
        listed, stories = await read_all(lives.socket)
        watching.cancel_scope.cancel()
    life.send(signal.SIGTERM)
    assert await life.exit_status() == 0, life.last_words()
    return Books(book, read_runs(lives.folder), stories, listed, lives.all)


async def read_all(socket: str) -> tuple[list[str], dict[str, Json]]:
    """The ids of all jobs, page by page, and the story of each, when all have ended."""
    async with client(socket) as http:
        with trio.fail_after(IDLE_SECONDS):
            while not await _is_idle(http):
                await trio.sleep(LOOK_SECONDS)
        listed = list[str]()
        path: str | None = f"/jobs?limit={PAGE}"
        while path is not None:
            answer = await http.get(path)
            listed += [job["id"] for job in answer.json()]
            following = answer.links.get("next")
            path = None if following is None else following["url"]
        stories = dict[str, Json]()
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(partial(_read_stories, http, listed[number::4], stories))
    return listed, stories


async def _is_idle(http: httpx.AsyncClient) -> bool:
    queue = (await ask(http, "GET", "/queue")).json()
    return not queue["pending"] + queue["processing"]


async def _read_stories(http: httpx.AsyncClient, ids: list[str], stories: dict[str, Json]) -> None:
    for job_id in ids:
        stories[job_id] = (await http.get(f"/jobs/{job_id}")).raise_for_status().json()
