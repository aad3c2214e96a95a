"""What a client may do to a job once it is there: cancel it, and run it again."""

import msgspec
import pytest
import trio

from tests.web.api import Answer, Api, check_problem
from tests.web.conftest import MakeApi


async def act(api: Api, action: str, job_id: str) -> Answer:
    """`POST /jobs/{id}/cancel` or `/retry`."""
    return await api.ask(f"/jobs/{job_id}/{action}", "POST")


def check_conflict(answer: Answer, kind: str, job_status: str) -> None:
    """Check for a 409 that says in which state the job is."""
    body = answer.json
    assert body.pop("job_status") == job_status
    check_problem(Answer(answer.status, answer.headers, msgspec.json.encode(body)), 409, kind)
    assert job_status in body["detail"]


async def test_a_job_that_waits_is_cancelled_at_once(api: Api) -> None:
    """The answer is the job, which has ended and is never run."""
    job_id = await api.submit("echo")
    answer = await act(api, "cancel", job_id)
    assert answer.status == 200
    assert answer.json["status"] == "cancelled"
    assert answer.json == await api.read_job(job_id)
    assert api.rig.record.names(job_id) == ["job_created", "job_enqueued", "job_cancelled"]


async def test_a_job_that_runs_is_cancelled_at_its_next_checkpoint(running_api: Api) -> None:
    """The answer may still say that it is processing; a moment later it has ended."""
    job_id = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    assert (await act(running_api, "cancel", job_id)).json["status"] == "processing"
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(job_id)
    assert job["status"] == "cancelled"
    assert job["attempts"][0]["outcome"] == "cancelled"


async def test_a_job_that_has_ended_is_run_again_as_a_new_one(running_api: Api) -> None:
    """The new one has the old one's type, payload and retries, and names it."""
    old = await running_api.submit("echo", {"n": 1}, max_retries=7)
    await trio.testing.wait_all_tasks_blocked()
    answer = await act(running_api, "retry", old)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
    assert answer.json["retry_of"] == old
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(answer.json["id"])
    assert job["id"] != old
    assert (job["type"], job["status"], job["retry_of"]) == ("echo", "completed", old)
    assert (job["payload"], job["result"], job["max_retries"]) == ({"n": 1}, {"n": 1}, 7)
    assert "retry_of" not in await running_api.read_job(old)


async def test_what_has_ended_can_t_be_cancelled(running_api: Api) -> None:
    """The answer says how it ended, and nothing changes."""
    job_id = await running_api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    with running_api.nothing_changes():
        check_conflict(await act(running_api, "cancel", job_id), "already-finished", "completed")


async def test_what_has_not_ended_can_t_be_run_again(api: Api) -> None:
    """The answer says that it waits, and nothing changes."""
    job_id = await api.submit("echo")
    with api.nothing_changes():
        check_conflict(await act(api, "retry", job_id), "not-finished", "pending")


async def test_running_a_job_again_needs_a_place(make_api: MakeApi) -> None:
    """A full queue turns it away as it does any submission."""
    api = make_api(queue_capacity=1)
    old = await api.submit("echo")
    await act(api, "cancel", old)
    await api.submit("echo")
    check_problem(await act(api, "retry", old), 429, "queue-full")


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_there_is_nothing_to_be_done_to_no_job(api: Api, action: str) -> None:
    """An unknown id is a 404, and GET is not the way."""
    with api.nothing_changes():
        check_problem(await act(api, action, "nobody"), 404, "unknown-job")
        refused = await api.ask(f"/jobs/nobody/{action}")
    check_problem(refused, 405)
    assert set(refused.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
