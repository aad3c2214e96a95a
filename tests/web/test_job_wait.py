"""`GET /jobs/{id}?wait=`: told at the end of the job, or when the time is over."""

import pytest
import trio

from tests.web.api import Api, check_problem


async def test_the_answer_comes_with_the_end_of_the_job(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """A job that ends in time is told with its result."""
    job_id = await running_api.submit("flaky", 0)
    answer = await running_api.ask(f"/jobs/{job_id}?wait=60")
    assert (answer.status, answer.json["status"]) == (200, "completed")
    assert trio.current_time() == 0
    again = await running_api.submit("flaky", 1)
    assert (await running_api.ask(f"/jobs/{again}?wait=59.5")).json["status"] == "pending"
    assert trio.current_time() == pytest.approx(59.5)
    assert (await running_api.ask(f"/jobs/{again}?wait=60")).json["status"] == "completed"
    assert trio.current_time() == pytest.approx(60)


@pytest.mark.parametrize("wait", ["0", "0.0", "0.25", "10", "60", "60.000", "007"])
async def test_a_wait_is_a_number_of_seconds(
    autojump_clock: trio.abc.Clock, api: Api, wait: str
) -> None:
    """When it is over, the present state is told."""
    job_id = await api.submit("endless")
    answer = await api.ask(f"/jobs/{job_id}?wait={wait}")
    assert (answer.status, answer.json["status"]) == (200, "pending")
    assert trio.current_time() == pytest.approx(float(wait))


@pytest.mark.parametrize(
    "wait",
    [
        *(
            "",
            "-1",
            "-0",
            "60.1",
            "61",
            "inf",
            "nan",
            "ten",
            "+5",
            "%2B5",
            "1_0",
            ".5",
            "5.",
        ),
        *("%D9%A1", "0x1", "1,5", "9" * 400, "0" * 400 + "61", "5%0A"),
    ],
)
async def test_another_wait_is_refused(api: Api, wait: str) -> None:
    """It gets 400 at once, and the detail names the parameter."""
    job_id = await api.submit("endless")
    with api.nothing_changes():
        answer = await api.ask(f"/jobs/{job_id}?wait={wait}")
        assert "wait" in check_problem(answer, 400, "malformed")


async def test_nobody_waits_for_an_unknown_job(api: Api) -> None:
    """There is nothing that could end."""
    check_problem(await api.ask("/jobs/nobody?wait=60"), 404, "unknown-job")


async def test_a_drain_ends_with_an_answer_to_who_waits(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """By then every job has ended."""
    job_id = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    running_api.rig.engine.drain(grace_seconds=5)
    answer = await running_api.ask(f"/jobs/{job_id}?wait=60")
    assert answer.json["status"] == "abandoned"
    assert trio.current_time() == pytest.approx(5)
