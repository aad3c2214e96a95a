"""`/groups`: many jobs that are one thing, and end as one."""

import json
from typing import Any

import pytest
import trio

from job_service.web.guards import Access
from job_service.web.submissions import MAX_JOB_BYTES
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi

ECHO = {"type": "echo"}
LATER = {"type": "echo", "delay_seconds": 600}
UNKNOWN = "/groups/01890000-0000-7000-8000-000000000000"


async def post(api: Api, body: Any, **headers: str) -> Answer:
    """`POST /groups` with this body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await api.ask("/groups", "POST", {**JSON, **headers}, text)


async def made(api: Api, *jobs: Any, **callbacks: Any) -> dict[str, Any]:
    """A group that is to be accepted."""
    answer = await post(api, {"jobs": list(jobs), **callbacks})
    assert answer.status == 201, answer
    group: dict[str, Any] = answer.json
    return group


async def test_a_group_is_followed_to_its_end(running_api: Api) -> None:
    """Its jobs are listed by it, and the one that follows names it."""
    answer = await post(
        running_api,
        {"jobs": [ECHO, ECHO], "on_complete": {"type": "echo", "payload": "all done"}},
    )
    group = answer.json
    assert (answer.status, answer.headers["Location"]) == (201, f"/groups/{group['id']}")
    assert (group["status"], group["jobs"], group["progress"]) == ("running", 2, 0)
    assert len(await running_api.listed(f"?group={group['id']}")) == 2
    answer = await running_api.ask(f"/groups/{group['id']}?wait=60")
    ended = answer.json
    assert (ended["status"], ended["completed"], ended["progress"]) == ("completed", 2, 1)
    follower = await running_api.read_job(ended["callback_id"])
    assert (follower["payload"], follower["callback_of"]) == ("all done", group["id"])
    first = await running_api.listed(f"?group={group['id']}&limit=1")
    assert (await running_api.read_job(first[0]))["group"] == group["id"]
    not_changed = {"If-None-Match": answer.headers["ETag"]}
    assert (await running_api.ask(f"/groups/{group['id']}", headers=not_changed)).status == 304


async def test_the_same_key_makes_one_group(running_api: Api) -> None:
    """The answer says so."""
    key = {"Idempotency-Key": "k"}
    first = await post(running_api, {"jobs": [ECHO]}, **key)
    again = await post(running_api, {"jobs": [ECHO]}, **key)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await post(running_api, {"jobs": [ECHO], "on_failure": ECHO}, **key)
    check_problem(other, 422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"nonsense", "malformed", "not a group: "),
        ({}, "malformed", "not a group: Object missing required field `jobs`"),
        ({"jobs": []}, "malformed", "there is no job in it"),
        ({"jobs": [ECHO], "then": ECHO}, "malformed", "not a group: "),
        ({"jobs": [ECHO, 7]}, "malformed", "job 2: not a job: "),
        ({"jobs": [ECHO, {"type": "telegram"}]}, "unknown-job-type", "job 2: "),
        ({"jobs": [ECHO], "on_complete": 7}, "malformed", "on_complete: not a job: "),
        (
            {"jobs": [ECHO], "on_failure": {"type": "email", "payload": {"to": 7}}},
            "invalid-payload",
            "on_failure: ",
        ),
        (
            {"jobs": [{"type": "echo", "unique_key": "k"}]},
            "malformed",
            "unique_key is not for the jobs of a group",
        ),
        (
            {"jobs": [ECHO], "on_complete": {"type": "echo", "after": ["x"]}},
            "malformed",
            "after is not for the job that follows a group",
        ),
        (b'{"jobs": [' + b"[" * 10_000, "malformed", "not a group: a payload is nested more"),
    ],
)
async def test_what_is_wrong_with_a_group_is_named_and_nothing_accepted(
    api: Api, body: Any, kind: str, says: str
) -> None:
    """Each job is checked as a job, and so are those that follow."""
    with api.nothing_changes():
        assert check_problem(await post(api, body), 400, kind).startswith(says)


async def test_a_callback_may_be_null(running_api: Api) -> None:
    """As any option, which is the same as leaving it out."""
    group = await made(running_api, ECHO, on_complete=None, on_failure=None)
    ended = (await running_api.ask(f"/groups/{group['id']}?wait=60")).json
    assert "callback_id" not in ended


async def test_a_group_has_a_largest_size(api: Api) -> None:
    """As an array of jobs has."""
    check_problem(await post(api, b" " * (MAX_JOB_BYTES + 1)), 413)


async def test_a_group_is_cancelled_and_repeated_as_one(make_api: MakeApi) -> None:
    """With the name of who did it in the events."""
    api = make_api(Access(tokens=taking("alice operate hers")))
    await api.rig.start()
    hers = {**JSON, "Authorization": "Bearer hers"}

    async def ask(path: str, method: str = "POST", body: bytes | None = None) -> Answer:
        return await api.ask(path, method, hers, body)

    body = json.dumps({"jobs": [ECHO, LATER, LATER], "on_failure": ECHO}).encode()
    path = f"/groups/{(await ask('/groups', body=body)).json['id']}"
    check_problem(await ask(f"{path}/retry"), 409, "group-conflict")
    await trio.testing.wait_all_tasks_blocked()
    assert (await ask(f"{path}/cancel")).json == {"cancelled": 2, "interrupted": 0}
    group = (await ask(path, "GET")).json
    assert (group["status"], group["completed"], group["cancelled"]) == ("cancelled", 1, 2)
    assert "callback_id" in group
    check_problem(await ask(f"{path}/cancel"), 409, "group-conflict")
    again = await ask(f"{path}/retry")
    assert (again.status, again.json["jobs"], again.json["retry_of"]) == (201, 2, group["id"])
    lines = [line for line in api.rig.lines if line["event"].startswith("group_")]
    assert [(line["event"], line.get("by")) for line in lines] == [
        ("group_created", "alice"),
        ("group_cancelled", None),
        ("group_created", "alice"),
        ("group_completed", None),
    ]


@pytest.mark.parametrize("call", ["GET ", "GET ?wait=1", "POST /cancel", "POST /retry"])
async def test_an_unknown_group_is_told_apart(api: Api, call: str) -> None:
    """From an unknown job."""
    method, rest = call.split(" ")
    check_problem(await api.ask(f"{UNKNOWN}{rest}", method, JSON), 404, "unknown-group")


@pytest.mark.parametrize("group", ["", "7", "0" * 35 + "G"])
async def test_jobs_are_listed_by_the_id_of_a_group_only(api: Api, group: str) -> None:
    """A misspelt one is no group without jobs."""
    detail = check_problem(await api.ask(f"/jobs?group={group}"), 400, "malformed")
    assert detail == "group must be the id of a group"
