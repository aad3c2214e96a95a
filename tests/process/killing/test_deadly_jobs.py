"""Jobs that kill their process, while others are in hand."""

import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from tests.process.killing.asking import AGAIN_SECONDS, ask, client
from tests.process.killing.books import Json, read_runs
from tests.process.killing.clients import TERMINAL
from tests.process.killing.handlers import Entry
from tests.process.killing.lives import Lives

INNOCENT = ["loop", "thread", "process", "loop", "thread", "process"]
MAX_LOSSES = 3  # by default
ERROR = "the process ended each of the 3 times while it had this job in hand"
DEADLINE_SECONDS = 120  # with a busy machine


@pytest.mark.slow
@pytest.mark.parametrize(
    "guilty",
    [
        ["kill_from_loop"],
        ["kill_from_thread"],
        ["kill_from_process"],
        ["kill_from_loop", "kill_from_thread"],
    ],
    ids=" and ".join,
)
async def test_a_job_that_kills_its_process_fails_and_the_innocent_complete(
    lives: Lives, guilty: list[str], nursery: trio.Nursery
) -> None:
    """Even if its first line does that: it is lost three times, and its error says so."""
    nursery.start_soon(start_again_and_again, lives)
    with trio.fail_after(DEADLINE_SECONDS):
        async with client(lives.socket) as http:
            innocent = await submit(http, "spare", map(spare, INNOCENT))
            await begun(lives.folder, innocent)
            ids = await submit(http, "deadly", map(deadly, guilty))
            failed = [await end_of(http, job_id) for job_id in ids]
            completed = [await end_of(http, job_id) for job_id in innocent]
    for job in failed:
        assert (job["status"], job["error"]) == ("failed", ERROR)
    assert [job["status"] for job in completed] == ["completed"] * len(INNOCENT)
    deaths = len(lives.all) - 1
    assert deaths <= MAX_LOSSES * len(guilty)


@pytest.mark.slow
async def test_an_innocent_job_completes_among_three_killers(
    lives: Lives, nursery: trio.Nursery
) -> None:
    """As soon as it has begun, there comes another one. The third has to wait for it."""
    nursery.start_soon(start_again_and_again, lives)
    with trio.fail_after(DEADLINE_SECONDS):
        async with client(lives.socket) as http:
            long = {"type": "loop", "payload": {"key": "innocent", "seconds": 2}}
            innocent = await submit(http, "innocent", [long])
            for number in range(MAX_LOSSES):
                await begun(lives.folder, innocent, times=number + 1)
                await submit(http, f"deadly-{number}", [deadly("kill_from_loop")])
            job = await end_of(http, innocent[0])
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["lost", "lost", "completed"]


async def start_again_and_again(lives: Lives) -> None:
    """Start a service whenever the one before was killed."""
    while True:
        life = lives.start(registry="without_schedules")
        assert await life.exit_status() == -signal.SIGKILL, life.last_words()


async def submit(http: httpx.AsyncClient, key: str, jobs: Iterable[Json]) -> list[str]:
    """The ids of these jobs, which are submitted together."""
    body = b"\n".join(map(msgspec.json.encode, jobs))
    answer = await ask(http, "POST", "/jobs/batch", body, key)
    ids: list[str] = answer.raise_for_status().json()["ids"]
    return ids


def spare(job_type: str) -> Json:
    """A job that takes a moment."""
    return {"type": job_type, "payload": {"key": "spare", "seconds": 0.3}}


def deadly(job_type: str) -> Json:
    """A job that kills, before all others."""
    return {"type": job_type, "priority": 0}


async def begun(folder: Path, ids: Sequence[str], times: int = 1) -> None:
    """Return when the handlers of all these jobs have begun, so many times."""
    while any(sum(_begins(run, job_id) for run in read_runs(folder)) < times for job_id in ids):
        await trio.sleep(AGAIN_SECONDS)


def _begins(run: Entry, job_id: str) -> bool:
    return run.what == "begin" and run.job_id == job_id


async def end_of(http: httpx.AsyncClient, job_id: str) -> Json:
    """The job, when it has ended."""
    while True:
        job: Json = (await ask(http, "GET", f"/jobs/{job_id}?wait=1")).json()
        if job["status"] in TERMINAL:
            return job
