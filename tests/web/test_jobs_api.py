"""What a client learns of its jobs: from `POST /jobs` to all there is to know of each."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

from tests.web.api import JSON, Api, check_problem
from tests.web.conftest import MakeApi


def moment(text: str) -> datetime:
    """A timestamp of the API, which is to be in UTC."""
    assert text.endswith("Z")
    parsed = datetime.fromisoformat(text)
    assert parsed.tzinfo == UTC
    return parsed


def check_times(attempt: dict[str, Any]) -> None:
    """Check that an attempt that is over tells when it began, when it ended and how long it ran."""
    assert moment(attempt["finished_at"]) >= moment(attempt["started_at"])
    assert attempt["run_seconds"] >= 0


async def test_a_submission_gets_201_and_the_address_of_its_job(api: Api) -> None:
    """POST /jobs answers 201 with the job as it was accepted, and Location leads to it."""
    answer = await api.post(b'{"type": "echo", "payload": {"n": 1}}')
    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    job = answer.json
    assert list(job) == ["id", "type", "status", "created_at", "max_retries"]
    assert uuid.UUID(job["id"]).version == 7
    assert (job["type"], job["status"], job["max_retries"]) == ("echo", "pending", 3)
    assert abs(moment(job["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    told = await api.ask(answer.headers["Location"])
    assert told.json == {
        **job,
        "waits_because": "waits for a free worker",
        "payload": {"n": 1},
        "attempts": [],
    }


async def test_of_a_name_that_occurs_twice_the_last_one_counts(running_api: Api) -> None:
    """In the submission and in its payload alike, as in most readers of JSON."""
    answer = await running_api.post(
        b'{"type": "nothing", "type": "echo", "priority": 1, "priority": 2,'
        b' "payload": 0, "payload": {"n": 1, "n": 2}}'
    )
    assert (answer.json["type"], answer.json["priority"]) == ("echo", 2)
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(answer.json["id"])
    assert job["result"] == {"n": 2}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_may_be_announced_in_all_its_spellings(api: Api, content_type: str) -> None:
    """A charset parameter or capitals in the content type are no reason to refuse a job."""
    headers = {"Content-Type": content_type}
    assert (await api.ask("/jobs", "POST", headers, b'{"type": "echo"}')).status == 201


async def test_a_job_without_a_payload_has_the_payload_null(running_api: Api) -> None:
    """The payload may be left out; the handler then gets None."""
    answer = await running_api.post(b'{"type": "echo"}')
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(answer.json["id"])
    assert job["payload"] is None
    assert job["result"] is None
    assert "result" in job


@pytest.mark.parametrize(
    ("more", "max_retries"),
    [({}, 5), ({"max_retries": None}, 5), ({"max_retries": 0}, 0), ({"max_retries": 1_000}, 1_000)],
    ids=["left out", "null", "none", "most"],
)
async def test_a_submission_may_choose_its_max_retries(
    api: Api, more: dict[str, Any], max_retries: int
) -> None:
    """max_retries takes the place of the job type's own, which is 5 here."""
    job_id = await api.submit("email", {"to": "a@example.org"}, **more)
    assert (await api.read_job(job_id))["max_retries"] == max_retries


async def test_a_completed_job_tells_its_result_and_its_one_attempt(running_api: Api) -> None:
    """A completed job has its payload, its result, and who ran it when."""
    job_id = await running_api.submit("echo", ["ü", 1, None])
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(job_id)
    (attempt,) = job["attempts"]
    assert list(job) == [
        *("id", "type", "status", "created_at", "finished_at", "attempt", "max_retries"),
        *("payload", "result", "attempts"),
    ]
    assert job["status"] == "completed"
    assert job["attempt"] == 1
    assert job["payload"] == job["result"] == ["ü", 1, None]
    assert moment(job["created_at"]) <= moment(attempt["started_at"])
    assert attempt["finished_at"] == job["finished_at"]
    assert list(attempt) == [
        *("attempt", "worker_id", "started_at", "finished_at", "run_seconds", "outcome"),
    ]
    assert (attempt["attempt"], attempt["outcome"]) == (1, "completed")
    assert attempt["worker_id"] in {"worker-1", "worker-2"}
    check_times(attempt)


async def test_a_failed_job_tells_the_error_of_every_attempt(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """A failed job has all its attempts, each with its own error, and the last one."""
    job_id = await running_api.submit("flaky", 9, max_retries=2)
    await trio.sleep(3600)
    job = await running_api.read_job(job_id)
    assert (job["status"], job["attempt"]) == ("failed", 3)
    assert job["error"] == "RuntimeError: attempt 3 fails"
    assert "result" not in job
    assert moment(job["finished_at"]) >= moment(job["created_at"])
    assert [attempt["attempt"] for attempt in job["attempts"]] == [1, 2, 3]
    for attempt in job["attempts"]:
        assert attempt["outcome"] == "failed"
        assert attempt["error"] == f"RuntimeError: attempt {attempt['attempt']} fails"
        check_times(attempt)


async def test_a_job_that_waits_for_its_retry_tells_why_and_until_when(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """Between two attempts a job is pending, with the error so far and when it will be ready."""
    job_id = await running_api.submit("flaky", 1)
    await trio.sleep(1)
    waiting = await running_api.read_job(job_id)
    assert (waiting["status"], waiting["attempt"]) == ("pending", 1)
    assert waiting["error"] == "RuntimeError: attempt 1 fails"
    assert moment(waiting["run_at"]) - moment(waiting["created_at"]) >= timedelta(seconds=60)
    assert "finished_at" not in waiting

    await trio.sleep(60)
    done = await running_api.read_job(job_id)
    assert (done["status"], done["attempt"], done["result"]) == ("completed", 2, "done")
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["failed", "completed"]
    assert "error" not in done
    assert "run_at" not in done


async def test_a_running_job_tells_who_runs_it_and_since_when(running_api: Api) -> None:
    """While an attempt runs it has a worker and a start, and no end, duration or outcome."""
    job_id = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(job_id)
    (attempt,) = job["attempts"]
    assert job["status"] == "processing"
    assert list(attempt) == ["attempt", "worker_id", "started_at"]


async def test_a_cancelled_job_stays_told(running_api: Api) -> None:
    """A job that was called off is listed and told as cancelled, with the attempt it was in."""
    job_id = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    await running_api.rig.queue.cancel(job_id)
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(job_id)
    assert job["status"] == "cancelled"
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["cancelled"]
    assert await running_api.listed("?status=cancelled") == [job_id]


async def test_a_full_queue_answers_429_and_changes_nothing(make_api: MakeApi) -> None:
    """As many jobs wait as may: 429 with Retry-After, the jobs untouched, and room later."""
    api = make_api(queue_capacity=2)
    waiting = [await api.submit("echo", n) for n in range(2)]
    counters, told = api.counters(), len(api.rig.record.events)

    answer = await api.post(b'{"type": "echo"}')
    check_problem(answer, 429, "queue-full")
    assert int(answer.headers["Retry-After"]) > 0
    assert await api.listed() == waiting
    assert api.counters() == {**counters, "jobs_rejected": 1}
    assert api.rig.record.names()[told:] == ["job_rejected", "queue_full"]

    await api.rig.start()
    await trio.testing.wait_all_tasks_blocked()
    assert (await api.post(b'{"type": "echo"}')).status == 201


async def test_a_draining_service_takes_no_job_but_tells_of_all(running_api: Api) -> None:
    """From the drain on POST answers 503 with Retry-After, while every read goes on."""
    job_id = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    running_api.rig.engine.drain(grace_seconds=60)
    counters = running_api.counters()

    answer = await running_api.ask("/jobs", "POST", JSON, b'{"type": "echo"}')
    check_problem(answer, 503, "draining")
    assert int(answer.headers["Retry-After"]) > 0
    assert running_api.counters() == {**counters, "jobs_rejected": 1}
    assert (await running_api.read_job(job_id))["status"] == "processing"
    assert await running_api.listed() == [job_id]
    assert (await running_api.ask("/metrics")).json["jobs_in_progress"] == 1
