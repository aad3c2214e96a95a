"""Of a sensitive job type, payloads and results are seen by who may operate, and quoted nowhere."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service.access.tokens import ROLES
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.model import TERMINAL
from job_service.telemetry.log import encode_event
from job_service.web.guards import Access
from tests.web import telltales
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi

CANARY = "tweety-4929"
NO_RETRY = Retry(max_retries=0)
LEAKS = [
    handler.__name__
    for handler, _ in telltales.HANDLERS
    if handler not in (telltales.echo, telltales.rationed)
]


@pytest.fixture
def registry() -> Registry:
    """Handlers that tell their payload in each way there is, but for a line of their own."""
    registry = Registry()
    for handler, terms in telltales.HANDLERS:
        registry.job(handler.__name__, sensitive=True, **{"retry": NO_RETRY} | terms)(handler)
    registry.job("plain")(telltales.echo)
    registry.on_failure(telltales.report)
    return registry


@pytest.fixture
async def guarded(make_api: MakeApi) -> Api:
    """The API with a token of each role."""
    api = make_api(Access(tokens=taking(*(f"the-{role} {role} to-{role}" for role in ROLES))))
    await api.rig.start()
    return api


async def ask(api: Api, path: str, role: str, method: str = "GET", body: object = None) -> Answer:
    """A call with the token of a role."""
    headers = {**JSON, "Authorization": f"Bearer to-{role}"}
    return await api.ask(path, method, headers, msgspec.json.encode(body))


def all_told(api: Api) -> str:
    """All that the log and the stream of events have."""
    feed = [encode_event(event) for event in api.rig.feed.read(0, 10_000)]
    return f"{api.rig.lines} {feed}"


async def ended(api: Api, job_id: str) -> dict[str, Any]:
    """The job when it has ended, as who may operate sees it."""
    while (job := (await ask(api, f"/jobs/{job_id}", "operate")).json)["status"] not in TERMINAL:
        await trio.sleep(0.01)
    told: dict[str, Any] = job
    return told


async def test_who_may_operate_sees_them_and_no_other(guarded: Api) -> None:
    """By each way to a job: the submission that waits, the job itself, and the list."""
    body = {"type": "echo", "payload": {"number": CANARY}}
    for role in ("submit", "operate"):
        answer = await ask(guarded, "/jobs?wait=5", role, "POST", body)
        assert answer.json["status"] == "completed"
        assert (CANARY.encode() in answer.body) == (role == "operate")
    job_id = answer.json["id"]
    for role in ROLES:
        for path in (
            *(f"/jobs/{job_id}", f"/jobs/{job_id}?wait=1", "/jobs", "/jobs?include=excerpts"),
        ):
            answer = await ask(guarded, path, role)
            may_see = role == "operate" and path != "/jobs"
            assert (CANARY.encode() in answer.body) == may_see
    for role in ("read", "submit"):
        job = (await ask(guarded, f"/jobs/{job_id}", role)).json
        assert (job["payload"], job["hidden"], "result" in job) == (None, True, False)
    job = (await ask(guarded, f"/jobs/{job_id}", "operate")).json
    assert (job["payload"]["number"], job["result"]) == (CANARY, f"paid with {CANARY}")
    assert "hidden" not in job


async def test_a_list_tells_how_they_begin_only_to_who_may_operate(guarded: Api) -> None:
    """And only if they ask for it."""
    await ask(guarded, "/jobs", "submit", "POST", {"type": "echo", "payload": {"number": CANARY}})
    for role in ROLES:
        listed = await ask(guarded, "/jobs?include=excerpts", role)
        assert (CANARY in listed.body.decode()) == (role == "operate")
        assert CANARY not in (await ask(guarded, "/jobs", role)).body.decode()


async def test_other_job_types_hide_nothing(guarded: Api) -> None:
    """It is said at the registration, type by type."""
    body = {"type": "plain", "payload": {"number": CANARY}}
    job = (await ask(guarded, "/jobs?wait=5", "submit", "POST", body)).json
    assert (job["payload"]["number"], job["result"]) == (CANARY, f"paid with {CANARY}")
    types = {
        each["type"]: each.get("sensitive", False)
        for each in (await ask(guarded, "/types", "read")).json
    }
    assert types["echo"]
    assert not types["plain"]


async def test_a_limit_key_is_told_by_its_digest_only(guarded: Api) -> None:
    """It is made of the payload, and a job that waits for its key says for which."""
    body = {"type": "rationed", "payload": {"number": CANARY}}
    ids = [(await ask(guarded, "/jobs", "submit", "POST", body)).json["id"] for _ in range(2)]
    await trio.testing.wait_all_tasks_blocked()
    waits = (await ask(guarded, f"/jobs/{ids[1]}", "read")).json["waits_because"]
    assert "rationed for " in waits
    assert CANARY not in waits + all_told(guarded)
    body["payload"] = {"number": f"no {CANARY}"}
    answer = await ask(guarded, "/jobs", "submit", "POST", body)
    check_problem(answer, 400, "invalid-payload")
    assert CANARY not in answer.body.decode()


async def test_a_job_of_a_type_that_nobody_knows_is_hidden(guarded: Api) -> None:
    """It may be of a program before or beside this one, in which it was sensitive."""
    body = {"type": "plain", "payload": {"number": CANARY}}
    job_id = (await ask(guarded, "/jobs?wait=5", "submit", "POST", body)).json["id"]
    del guarded.rig.registry._types["plain"]
    assert (await ask(guarded, f"/jobs/{job_id}", "read")).json["hidden"]
    assert (await ask(guarded, f"/jobs/{job_id}", "operate")).json["payload"]["number"] == CANARY


async def test_what_one_may_see_is_not_another_answer_of_a_cache(guarded: Api) -> None:
    """Who has the job without its payload, and may see it now, is sent the whole."""
    body = {"type": "echo", "payload": {"number": CANARY}}
    job_id = (await ask(guarded, "/jobs?wait=5", "submit", "POST", body)).json["id"]
    tag = (await ask(guarded, f"/jobs/{job_id}", "read")).headers["ETag"]
    headers = {"If-None-Match": tag, "Authorization": "Bearer to-operate"}
    assert (await guarded.ask(f"/jobs/{job_id}", headers=headers)).status == 200
    headers["Authorization"] = "Bearer to-read"
    assert (await guarded.ask(f"/jobs/{job_id}", headers=headers)).status == 304


@pytest.mark.slow
@pytest.mark.parametrize("job_type", LEAKS)
async def test_no_error_quotes_them_anywhere(guarded: Api, job_type: str) -> None:
    """Of what a handler raises, the log, the stream and the job have the kind, and where it was."""
    body = {"type": job_type, "payload": {"number": CANARY}}
    job_id = (await ask(guarded, "/jobs", "submit", "POST", body)).json["id"]
    if job_type == "endless":
        while (await ask(guarded, f"/jobs/{job_id}", "read")).json["status"] != "processing":
            await trio.sleep(0.01)
        await ask(guarded, f"/jobs/{job_id}/cancel", "operate", "POST")
    job = await ended(guarded, job_id)
    with trio.fail_after(5):
        while job_type == "abandoned" and "thread_returned" not in guarded.rig.record.names():
            await trio.sleep(0.01)
        while job["status"] == "failed" and "hook_failed" not in guarded.rig.record.names():
            await trio.sleep(0.01)
    attempts = str(job["attempts"])
    assert "concealed" in attempts or job_type == "abandoned"
    assert CANARY not in attempts + job.get("error", "")
    assert CANARY not in all_told(guarded)
    for role in ("read", "submit"):
        for path in (
            f"/jobs/{job_id}",
            "/jobs?include=excerpts",
            "/types",
            "/openapi.json",
            "/metrics",
        ):
            assert CANARY not in (await ask(guarded, path, role)).body.decode()


BAD: list[object] = [
    CANARY,
    {"number": "bad" + CANARY},
    {"number": "1", CANARY: 1},
    {"number": "1", "kind": CANARY},
    {"number": "1", "months": CANARY},
]


@pytest.mark.parametrize("payload", BAD, ids=str)
async def test_no_misfit_is_told_with_its_value(guarded: Api, payload: object) -> None:
    """The problem says what was expected, if it can be said without a word of what came."""
    for path, body in (("/jobs", {"type": "echo", "payload": payload}),):
        answer = await ask(guarded, path, "submit", "POST", body)
        check_problem(answer, 400, "invalid-payload")
        assert CANARY not in answer.body.decode()
        headers = {"Content-Type": "application/x-ndjson", "Authorization": "Bearer to-submit"}
        batch = await guarded.ask("/jobs/batch", "POST", headers, msgspec.json.encode(body))
        check_problem(batch, 400, "invalid-payload")
        assert CANARY not in batch.body.decode()
    assert CANARY not in all_told(guarded)


async def test_what_was_expected_is_still_told(guarded: Api) -> None:
    """As long as it is the type of a field, or its name."""
    for payload, why in (
        ({"number": 1}, "Expected `str`, got `int` - at `$.number`"),
        ({}, "Object missing required field `number`"),
    ):
        body = {"type": "echo", "payload": payload}
        answer = await ask(guarded, "/jobs", "submit", "POST", body)
        assert check_problem(answer, 400, "invalid-payload") == why


def test_the_flag_is_a_flag() -> None:
    """A text that says no would otherwise be a yes."""
    with pytest.raises(TypeError, match="sensitive must be True or False, not 'no'"):
        Registry().job("echo", sensitive="no")  # type: ignore[arg-type]
