"""`GET /workers`: who does what at this moment, and since when."""

from typing import Any

import pytest
import trio

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from tests.web.api import Api
from tests.web.conftest import MakeApi

PAYLOADS = {"echo": "hello", "flaky": 1, "endless": None}


async def workers(api: Api) -> list[dict[str, Any]]:
    """What `GET /workers` answers."""
    answer = await api.ask("/workers")
    assert answer.status == 200, answer
    listed: list[dict[str, Any]] = answer.json
    return listed


async def settle() -> None:
    """Let the workers do all they can."""
    await trio.testing.wait_all_tasks_blocked()


async def test_workers_are_idle_since_they_started(make_api: MakeApi) -> None:
    """Before the first job each worker is listed in order, with the moment of its first line."""
    api = make_api(workers=12)
    assert await workers(api) == []
    await api.rig.start()
    started = [line for line in api.rig.lines if line["event"] == "worker_started"]
    assert len(started) == 12
    assert await workers(api) == [
        {"worker_id": line["worker_id"], "state": "idle", "since": line["timestamp"]}
        for line in started
    ]


async def test_a_busy_worker_names_its_job(running_api: Api) -> None:
    """It says which job of which type it runs, the how-manieth attempt, and since when."""
    job_id = await running_api.submit("endless")
    await settle()
    job = await running_api.read_job(job_id)
    (busy,) = [worker for worker in await workers(running_api) if worker["state"] == "busy"]
    assert list(busy.items()) == [
        ("worker_id", job["attempts"][0]["worker_id"]),
        ("state", "busy"),
        ("job_id", job_id),
        ("job_type", "endless"),
        ("attempt", 1),
        ("since", job["attempts"][0]["started_at"]),
    ]


@pytest.mark.parametrize("job_type", PAYLOADS)
async def test_a_worker_is_idle_since_its_attempt_was_over(
    make_api: MakeApi, job_type: str
) -> None:
    """However an attempt ends: completed, failed or cancelled, its worker is free from then on."""
    api = make_api(workers=1)
    await api.rig.start()
    job_id = await api.submit(job_type, PAYLOADS[job_type], max_retries=0)
    await settle()
    if job_type == "endless":
        await api.rig.queue.cancel(job_id)
        await settle()
    finished_at = (await api.read_job(job_id))["attempts"][0]["finished_at"]
    assert await workers(api) == [{"worker_id": "worker-1", "state": "idle", "since": finished_at}]


async def test_a_retry_is_another_attempt(
    autojump_clock: trio.abc.Clock, make_api: MakeApi, registry: Registry
) -> None:
    """Between attempts the worker is idle, and then busy with the second."""

    @registry.job("second-hangs")
    async def second_hangs(job: JobContext) -> None:
        if job.attempt == 1:
            raise RuntimeError("once")
        await trio.sleep_forever()

    api = make_api(workers=1)
    await api.rig.start()
    await api.submit("second-hangs", max_retries=1)
    await settle()
    assert [worker["state"] for worker in await workers(api)] == ["idle"]
    await trio.sleep(1000)
    assert [worker["attempt"] for worker in await workers(api)] == [2]


async def test_a_worker_is_busy_as_long_as_its_handler_holds_it(
    running_api: Api,
) -> None:
    """If the service has ended without a job, its handler may still be at work."""
    job_id = await running_api.submit("endless")
    await settle()
    running_api.rig.engine.abandon_the_rest("grace_over")
    assert (await running_api.read_job(job_id))["status"] == "abandoned"
    assert job_id in [worker.get("job_id") for worker in await workers(running_api)]


async def test_as_many_are_busy_as_jobs_are_in_progress(make_api: MakeApi) -> None:
    """`/workers` and `/metrics` tell the same, whatever the workers are given to do."""
    api = make_api(workers=3)
    await api.rig.start()
    for job_type in ["endless", "echo", "flaky", "endless", "echo", "endless", "endless", "echo"]:
        await api.submit(job_type, PAYLOADS[job_type])
        await settle()
        listed = await workers(api)
        busy = {worker["job_id"] for worker in listed if worker["state"] == "busy"}
        assert len(listed) == api.counters()["workers_running"] == 3
        assert len(busy) == api.counters()["jobs_in_progress"]
        assert busy == set(await api.listed("?status=processing"))


async def test_workers_that_have_stopped_are_not_listed(running_api: Api) -> None:
    """They are until the last moment of a drain, and then nobody is."""
    await running_api.submit("endless")
    await settle()
    running_api.rig.engine.drain(grace_seconds=1000)
    await settle()
    states = [worker["state"] for worker in await workers(running_api)]
    assert sorted(states) == ["busy", "idle"]
    running_api.rig.engine.stop("second_signal")
    await settle()
    assert await workers(running_api) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_asking_changes_nothing_and_is_not_cached(running_api: Api, method: str) -> None:
    """Who looks is not seen, and no proxy may answer with what was true a moment ago."""
    with running_api.nothing_changes():
        answer = await running_api.ask("/workers", method)
    assert answer.status == 200
    if method == "GET":
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
