"""The name of a token is in the event of each action that it was used for, and in the job."""

import pytest

from job_service.web.guards import Access
from tests.web.api import JSON, Answer, Api, taking
from tests.web.conftest import MakeApi


@pytest.fixture
async def guarded(make_api: MakeApi) -> Api:
    """The API, on a running engine, with a token that has a name and one that has none."""
    api = make_api(Access(tokens=taking("alice operate hers", "master")))
    await api.rig.start()
    return api


async def post(api: Api, path: str, by: str = "hers") -> Answer:
    """A POST with this token, and a job to submit that starts later."""
    headers = {**JSON, "Authorization": f"Bearer {by}"}
    body = b'{"type": "echo", "delay_seconds": 600}'
    answer = await api.ask(path, "POST", headers, body)
    assert answer.status in (200, 201), answer
    return answer


def told(api: Api, event: str) -> list[object]:
    """Who is named in the lines of this event; None for nobody. The stream says the same."""
    names = [line.get("by") for line in api.rig.lines if line["event"] == event]
    feed = api.rig.feed.read(0, 1_000)
    assert [getattr(e, "by", None) or None for e in feed if e.event == event] == names
    return names


async def test_each_action_names_who_did_it(guarded: Api) -> None:
    """In the log and in the stream of events."""
    first = (await post(guarded, "/jobs")).json["id"]
    headers = {**JSON, "Authorization": "Bearer hers"}
    await guarded.ask(f"/jobs/{first}", "PATCH", headers, b'{"priority": 1}')
    await post(guarded, f"/jobs/{first}/cancel")
    later = (await post(guarded, "/jobs")).json["id"]
    await post(guarded, f"/jobs/{later}/run-now")
    again = (await post(guarded, f"/jobs/{first}/retry")).json["id"]
    await post(guarded, "/jobs")
    await post(guarded, "/jobs/cancel?type=echo")
    await post(guarded, "/queue/pause")
    await post(guarded, "/queue/resume?type=echo")
    await post(guarded, "/queue/pause?type=echo")
    await post(guarded, "/queue/resume")
    assert told(guarded, "job_created") == ["alice"] * 4
    assert told(guarded, "job_edited") == ["alice", "alice"]
    assert told(guarded, "job_cancelled") == ["alice", "alice"]
    assert told(guarded, "queue_paused") == ["alice", "alice"]
    assert told(guarded, "queue_resumed") == ["alice"]
    created = [line for line in guarded.rig.lines if line["event"] == "job_created"]
    assert [line.get("retry_of") for line in created] == [None, None, first, None]
    assert created[2]["job_id"] == again


async def test_a_job_tells_who_submitted_and_changed_it(guarded: Api) -> None:
    """One, those of a batch, and those of a group."""
    headers = {**JSON, "Authorization": "Bearer hers"}
    job = b'{"type": "echo", "delay_seconds": 600}'
    one = (await guarded.ask("/jobs", "POST", headers, job)).json["id"]
    batch = await guarded.ask("/jobs/batch", "POST", headers, b"[%b,%b]" % (job, job))
    group = await guarded.ask("/groups", "POST", headers, b'{"jobs":[%b]}' % job)
    members = await guarded.ask(f"/jobs?group={group.json['id']}", headers=headers)
    for job_id in (one, *batch.json["ids"], members.json[0]["id"]):
        told = (await guarded.ask(f"/jobs/{job_id}", headers=headers)).json
        assert told["submitted_by"] == "alice"
        assert "edited_at" not in told
    answer = await guarded.ask(f"/jobs/{one}", "PATCH", headers, b'{"priority": 1}')
    assert answer.json["edited_by"] == "alice"
    edited = [line for line in guarded.rig.lines if line["event"] == "job_edited"]
    assert answer.json["edited_at"] == edited[0]["timestamp"]


async def test_an_idempotency_key_does_not_stand_for_the_name(guarded: Api) -> None:
    """The same request with another token makes no second job, and leaves the first as it is."""
    answers = []
    for token in ("hers", "master"):
        headers = {**JSON, "Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
        answers.append(await guarded.ask("/jobs", "POST", headers, b'{"type": "echo"}'))
        batch = {**headers, "Idempotency-Key": "many"}
        answers.append(await guarded.ask("/jobs/batch", "POST", batch, b'[{"type": "echo"}]'))
        group = {**headers, "Idempotency-Key": "group"}
        body = b'{"jobs": [{"type": "echo"}], "on_failure": {"type": "echo"}}'
        answers.append(await guarded.ask("/groups", "POST", group, body))
    assert [answer.status for answer in answers] == [201] * 6
    assert told(guarded, "job_created") == ["alice"] * 3
    assert told(guarded, "group_created") == ["alice"]


async def test_a_token_without_a_name_is_nobody(guarded: Api) -> None:
    """The field is absent then."""
    await post(guarded, "/queue/pause", "master")
    job_id = (await post(guarded, "/jobs", "master")).json["id"]
    assert "submitted_by" not in (await post(guarded, f"/jobs/{job_id}/cancel", "master")).json
    assert told(guarded, "queue_paused") == [None]
    assert all("by" not in line for line in guarded.rig.lines)
