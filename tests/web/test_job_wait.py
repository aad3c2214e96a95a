"""`?wait=` of a job that is read or submitted: told at its end, or when the time is over."""

import msgspec
import pytest
import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.state.detail import JobDetail
from job_service.stores.memory import MemoryStore
from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi


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


async def submit(api: Api, wait: str, key: str | None = None, **job: object) -> Answer:
    """`POST /jobs?wait=`."""
    headers = JSON if key is None else {**JSON, "Idempotency-Key": key}
    return await api.ask(f"/jobs?wait={wait}", "POST", headers, msgspec.json.encode(job))


async def test_a_job_is_submitted_and_told_with_its_result_in_one_call(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """As soon as it has ended, with all that a read would tell."""
    answer = await submit(running_api, "60", type="flaky", payload=0)
    assert (answer.status, answer.json["result"]) == (201, "done")
    assert trio.current_time() == 0
    job_id = answer.json["id"]
    assert answer.headers["Location"] == f"/jobs/{job_id}"
    assert answer.json == await running_api.read_job(job_id)


async def test_a_job_that_takes_longer_than_the_wait_is_told_as_it_is(
    autojump_clock: trio.abc.Clock, api: Api
) -> None:
    """It is accepted all the same, and the answer says why it still waits."""
    answer = await submit(api, "5", type="echo")
    assert (answer.status, answer.json["status"]) == (201, "pending")
    assert answer.json["waits_because"] == "waits for a free worker"
    assert trio.current_time() == pytest.approx(5)


async def test_a_submission_that_is_repeated_waits_for_the_first_job(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """So a client that lost the connection while it waited comes back with the same request."""
    job = {"type": "flaky", "payload": 1}
    first = await submit(running_api, "5", "key", **job)
    assert first.json["status"] == "pending"
    second = await submit(running_api, "60", "key", **job)
    assert (second.status, second.json["id"]) == (201, first.json["id"])
    assert (second.json["status"], second.json["replayed"]) == ("completed", True)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert trio.current_time() == pytest.approx(60)


async def test_a_duplicate_waits_for_the_job_that_holds_its_unique_key(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """Its result is what the submission would have come to."""
    first = await submit(running_api, "5", type="flaky", payload=1, unique_key="k")
    second = await submit(running_api, "60", type="flaky", payload=1, unique_key="k")
    assert (second.status, second.json["id"]) == (200, first.json["id"])
    assert (second.json["status"], second.json["duplicate"]) == ("completed", True)


async def test_a_repeated_submission_whose_job_is_no_longer_kept_says_how_it_ended(
    autojump_clock: trio.abc.Clock, make_api: MakeApi
) -> None:
    """There is nothing to wait for, and the key is remembered longer than the job."""
    api = make_api(retain=0)
    await api.rig.start()
    first = await submit(api, "0", "key", type="flaky", payload=1)
    await trio.sleep(100)
    second = await submit(api, "60", "key", type="flaky", payload=1)
    assert (second.status, second.json["id"]) == (201, first.json["id"])
    assert (second.json["status"], second.json["replayed"]) == ("completed", True)
    assert trio.current_time() == pytest.approx(100)


async def test_a_job_that_is_not_kept_after_its_end_is_told_to_who_waits_for_it(
    make_api: MakeApi,
) -> None:
    """However soon that is: there is nobody else who could ask for its result."""
    api = make_api(retain=0)
    await api.rig.start()
    answer = await submit(api, "5", type="echo", payload=7)
    assert (answer.status, answer.json["status"]) == (201, "completed")
    assert answer.json["result"] == 7
    job = await api.rig.queue.submit("echo", 7)
    assert (await api.rig.queue.wait(job.id, 5)).status == "completed"
    api.rig.engine.stop("enough")


class StoreWithoutReads(MemoryStore):
    """A store whose disk breaks after a submission."""

    async def wait(self, *_: object) -> JobDetail:
        """Raise, as a store in a file does."""
        raise StoreUnavailable("the disk is broken")


async def test_an_accepted_job_is_never_answered_with_a_problem(make_api: MakeApi) -> None:
    """Else its client would submit it a second time."""
    answer = await submit(make_api(store=StoreWithoutReads), "5", type="echo")
    assert (answer.status, answer.json["status"]) == (201, "pending")


@pytest.mark.parametrize("wait", ["", "-1", "60.1", "ten"])
async def test_a_submission_with_another_wait_is_refused(api: Api, wait: str) -> None:
    """And no job is made."""
    with api.nothing_changes():
        answer = await submit(api, wait, type="echo")
        assert "wait" in check_problem(answer, 400, "malformed")
