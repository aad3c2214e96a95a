"""`GET /history`: an incident can be seen that began before anybody looked."""

from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

from job_service import Draft
from job_service.jobs.state.model import TRANSITIONS
from tests.web.api import Api, check_problem


async def history(api: Api, query: str = "") -> dict[str, Any]:
    """What `GET /history` answers."""
    answer = await api.ask(f"/history{query}")
    assert answer.status == 200, answer
    told: dict[str, Any] = answer.json
    return told


async def test_what_happened_before_anybody_looked_is_told(
    running_api: Api, autojump_clock: trio.testing.MockClock
) -> None:
    """Each second has its submissions, its ends, and how many jobs waited and for how long."""
    await running_api.ask("/queue/pause", "POST")
    await running_api.submit("echo", 1)
    await running_api.submit("echo", 2)
    await trio.sleep(2)
    running_api.rig.history.catch_up()  # as the service does each second
    await running_api.ask("/queue/resume", "POST")
    await trio.sleep(1)
    told = await history(running_api, "?seconds=3&step=1")
    assert told["jobs_created"] == [2, 0, 0]
    assert told["jobs_ready"] == [2, 2, 0]
    assert told["jobs_completed"] == [0, 0, 2]
    assert told["wait_seconds_total"] == [0, 0, pytest.approx(4)]
    assert told["jobs_oldest_ready_seconds"] == pytest.approx([1, 2, 0])


async def test_without_a_query_it_tells_the_last_hour_by_the_minute(
    running_api: Api, autojump_clock: trio.testing.MockClock
) -> None:
    """So many whole minutes as the service has run, and no more than 60."""
    await trio.sleep(150)
    told = await history(running_api)
    assert told["step_seconds"] == 60
    assert told["jobs_created"] == [0, 0]
    await trio.sleep(5_000)
    assert len((await history(running_api))["jobs_created"]) == 60


@pytest.mark.parametrize("query", ["seconds=0", "seconds=3601", "step=0", "step=1.5", "step=x"])
async def test_a_span_that_can_not_be_told_is_refused(running_api: Api, query: str) -> None:
    """The problem says what it may be."""
    answer = await running_api.ask(f"/history?{query}")
    detail = check_problem(answer, 400, "malformed")
    assert detail.endswith("must be a whole number of seconds from 1 to 3600")


async def test_what_was_out_of_the_ordinary_is_told_again(running_api: Api) -> None:
    """Whoever comes later reads what happened, and whether it happened often."""
    for _ in range(2):
        await running_api.submit("flaky", 1, max_retries=0)
    await running_api.ask("/queue/pause", "POST")
    await trio.testing.wait_all_tasks_blocked()
    answer = await running_api.ask("/notices")
    paused, failed = sorted(answer.json, key=lambda notice: notice["times"])
    assert paused["event"]["event"] == "queue_paused"
    assert failed["times"] == 2
    assert failed["event"]["job_type"] == "flaky"
    assert "traceback" not in failed["event"]
    newest = (await running_api.ask("/notices?limit=1")).json
    assert newest == answer.json[:1]
    assert (await running_api.ask("/notices?limit=0")).status == 400


@pytest.mark.slow
async def test_the_numbers_of_an_overview_agree(running_api: Api) -> None:
    """However busy it is: what waits and runs is the same in all its parts."""

    async def ask_often() -> None:
        for _ in range(50):
            told = (await running_api.ask("/overview")).json
            metrics, queue, workers = told["metrics"], told["queue"], told["workers"]
            assert metrics["jobs_pending"] == queue["pending"]
            assert metrics["jobs_in_progress"] == queue["processing"]
            busy = sum(worker["state"] == "busy" for worker in workers)
            assert busy >= metrics["jobs_in_progress"]
            for types in (queue["types"], told["types"]):
                assert sum(each["pending"] for each in types) == queue["pending"]
            for status, jobs in told["jobs"].items():
                assert sum(each[status] for each in told["types"]) == jobs
            assert told["jobs"]["completed"] == min(1_000, metrics["jobs_completed"])
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_often)
        while True:
            for _ in range(10):
                await running_api.rig.queue.submit("echo")
            await trio.lowlevel.checkpoint()


async def test_an_overview_counts_jobs_without_a_handler(running_api: Api) -> None:
    """They are in no job type, and yet among the jobs, as in the list of all of them."""
    await running_api.submit("flaky", 1, max_retries=0)
    await running_api.rig.queue.submit_all([Draft("unknown", b"null", 3)] * 2)
    await trio.testing.wait_all_tasks_blocked()
    jobs = (await running_api.ask("/overview")).json["jobs"]
    assert jobs == dict.fromkeys(TRANSITIONS, 0) | {"pending": 2, "failed": 1}
    for status in TRANSITIONS:
        assert len((await running_api.ask(f"/jobs?status={status}")).json) == jobs[status]
