"""What a client may change of a job that waits: its time, its priority, and its payload."""

from typing import Any

import msgspec
import pytest
import trio

from job_service.telemetry.events import JobEdited
from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi
from tests.web.test_job_actions import check_conflict

LATER = "2030-01-31T12:00:00Z"


async def edit(api: Api, job_id: str, body: object, **headers: str) -> Answer:
    """`PATCH /jobs/{id}` with this."""
    text = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return await api.ask(f"/jobs/{job_id}", "PATCH", JSON | headers, text)


async def run_now(api: Api, job_id: str) -> Answer:
    """`POST /jobs/{id}/run-now`."""
    return await api.ask(f"/jobs/{job_id}/run-now", "POST")


async def test_a_job_for_later_is_run_now(running_api: Api) -> None:
    """The answer is the job; a moment later it has ended."""
    job_id = await running_api.submit("echo", 1, delay_seconds=3_600)
    answer = await run_now(running_api, job_id)
    assert (answer.status, answer.json["status"], answer.json["edits"]) == (200, "pending", 1)
    await trio.testing.wait_all_tasks_blocked()
    assert (await running_api.read_job(job_id))["status"] == "completed"
    assert running_api.rig.record.names(job_id) == [
        *("job_created", "job_edited", "job_enqueued", "job_started", "job_completed"),
    ]


async def test_time_priority_and_payload_are_changed_together(running_api: Api) -> None:
    """By one call and with one event, which does not tell the payload."""
    job_id = await running_api.submit("echo", 1, delay_seconds=3_600)
    answer = await edit(
        running_api, job_id, {"run_at": LATER, "priority": 2.0, "payload": {"secret": 4711}}
    )
    job = answer.json
    assert (answer.status, job["run_at"], job["priority"]) == (200, LATER, 2)
    assert (job["payload"], job["edits"]) == ({"secret": 4711}, 1)
    (event,) = running_api.rig.record.of(JobEdited)
    assert (event.priority, event.payload_bytes) == (2, 15)
    assert "4711" not in str(running_api.rig.lines)
    await run_now(running_api, job_id)
    await trio.testing.wait_all_tasks_blocked()
    assert (await running_api.read_job(job_id))["result"] == {"secret": 4711}


@pytest.mark.parametrize(
    ("body", "kind", "what"),
    [
        ({}, "malformed", "nothing is to be changed"),
        ({"run_at": None}, "malformed", "not a change of a job"),
        ({"run_at": "tomorrow"}, "malformed", "not a change of a job"),
        ({"run_at": "2030-01-31T12:00:00"}, "malformed", "not a change of a job"),
        ({"run_at": "2999-01-31T12:00:00Z"}, "malformed", "within the next 10 years"),
        ({"priority": 10}, "malformed", "not a change of a job"),
        ({"priority": 1.5}, "malformed", "priority must be a whole number"),
        ({"type": "email"}, "malformed", "unknown field"),
        ([], "malformed", "not a change of a job"),
        (b"{", "malformed", "not a change of a job"),
        (b'{"payload":' + b"[" * 2_000 + b"]" * 2_000 + b"}", "malformed", "nested more than"),
        ({"payload": {"to": 1}}, "invalid-payload", "to"),
    ],
)
async def test_what_can_not_be_is_refused(api: Api, body: Any, kind: str, what: str) -> None:
    """As it would be with a submission, and nothing changes."""
    job_id = await api.submit("email", {"to": "you"})
    with api.nothing_changes():
        answer = await edit(api, job_id, body)
    check_problem(answer, 400, kind)
    assert what in answer.json["detail"]


async def test_it_must_be_said_to_be_json(api: Api) -> None:
    """A merge patch would mean something else, because a payload is replaced as a whole."""
    job_id = await api.submit("echo")
    body = b'{"priority": 1}'
    for headers in ({}, {"Content-Type": "application/merge-patch+json"}):
        answer = await api.ask(f"/jobs/{job_id}", "PATCH", headers, body)
        check_problem(answer, 415)


async def test_what_runs_or_has_ended_stays_as_it_is(running_api: Api) -> None:
    """The answer says what it does."""
    running, ended = await running_api.submit("endless"), await running_api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    with running_api.nothing_changes():
        for job_id, status in ((running, "processing"), (ended, "completed")):
            check_conflict(await run_now(running_api, job_id), "not-pending", status)
            answer = await edit(running_api, job_id, {"payload": None})
            check_conflict(answer, "not-pending", status)
        check_problem(await run_now(running_api, "nobody"), 404, "unknown-job")
        check_problem(await edit(running_api, "nobody", {"priority": 1}), 404, "unknown-job")


async def test_what_waits_for_other_jobs_can_not_run_now(api: Api) -> None:
    """But it can be changed."""
    first = await api.submit("echo")
    job_id = await api.submit("echo", after=[first])
    answer = await run_now(api, job_id)
    assert answer.status == 409
    assert answer.json["type"] == "/problems/waits-for-jobs"
    assert (await edit(api, job_id, {"priority": 1})).json["priority"] == 1


async def test_a_longer_payload_needs_room(make_api: MakeApi) -> None:
    """As that of a submission does."""
    api = make_api(queue_bytes=1_000)
    job_id = await api.submit("echo", "x" * 500)
    check_problem(await edit(api, job_id, {"payload": "x" * 2_000}), 429, "queue-full")


async def test_what_has_changed_meanwhile_is_not_changed_again(api: Api) -> None:
    """If-Match has the tag of the job before another client gave it another payload."""
    job_id = await api.submit("echo", 1)
    tag = (await api.ask(f"/jobs/{job_id}")).headers["ETag"]
    assert (await edit(api, job_id, {"payload": 2}, **{"If-Match": tag})).status == 200
    with api.nothing_changes():
        check_problem(await edit(api, job_id, {"payload": 3}, **{"If-Match": tag}), 412)
