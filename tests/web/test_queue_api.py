"""The queue in the hands of the person on call: look at it, hold it back, call its jobs off."""

from typing import Any

import pytest
import trio
import trio.testing

from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.registry import Registry
from tests.web.api import Answer, Api, check_problem
from tests.web.conftest import MakeApi

WHOLE_OR_TYPE = pytest.mark.parametrize("query", ["", "?type=echo"], ids=["queue", "type"])

NONE_WAITS = {"pending": 0, "ready": 0, "processing": 0, "seconds_to_empty": 0.0}
NOTHING_WAITS: dict[str, Any] = {
    "paused": False,
    "paused_types": [],
    "capacity": 100,
    "pending": 0,
    "ready": 0,
    "later": 0,
    "blocked": 0,
    "unfit": 0,
    "processing": 0,
    "store": "memory",
    "types": [{"type": name, **NONE_WAITS} for name in ("echo", "email", "endless", "flaky")],
}


async def act(api: Api, action: str, query: str = "") -> Any:
    """`POST /queue/pause` or `/queue/resume`; what it answers."""
    answer = await api.ask(f"/queue/{action}{query}", "POST")
    assert answer.status == 200, answer
    return answer.json


async def view(api: Api) -> Any:
    """`GET /queue`, without the one number that goes on by itself."""
    queue = (await api.ask("/queue")).json
    for each in (queue, *queue["types"]):
        each.pop("oldest_ready_seconds", None)
    return queue


async def types(api: Api) -> dict[str, dict[str, Any]]:
    """`GET /types`, by the name of the type."""
    return {told["type"]: told for told in (await api.ask("/types")).json}


async def cancel_all(api: Api, query: str) -> Answer:
    """`POST /jobs/cancel` with this query."""
    return await api.ask(f"/jobs/cancel{query}", "POST")


async def test_the_queue_tells_what_waits_and_for_what(
    running_api: Api, autojump_clock: trio.testing.MockClock
) -> None:
    """Each pending job is ready, comes later, or is blocked; and how long the oldest is ready."""
    assert (await running_api.ask("/queue")).json == NOTHING_WAITS
    first = await running_api.submit("endless")
    await running_api.submit("endless")
    await trio.sleep(5)
    await running_api.submit("echo")
    await running_api.submit("echo", delay_seconds=100)
    await running_api.submit("echo", after=[first])
    await running_api.submit("echo", after=[first], delay_seconds=100)
    await trio.sleep(5)
    answer = await running_api.ask("/queue")
    assert answer.headers["Cache-Control"] == "no-store"
    numbers = {"pending": 4, "ready": 1, "later": 1, "blocked": 2, "processing": 2}
    echo = {"type": "echo", "pending": 4, "ready": 1, "processing": 0, "oldest_ready_seconds": 5}
    endless = {"type": "endless", "pending": 0, "ready": 0, "processing": 2, "seconds_to_empty": 0}
    assert answer.json == {
        **NOTHING_WAITS,
        **numbers,
        "oldest_ready_seconds": 5,
        "types": [echo, NOTHING_WAITS["types"][1], endless, NOTHING_WAITS["types"][3]],
    }


@WHOLE_OR_TYPE
async def test_a_pause_holds_back_until_it_is_lifted(running_api: Api, query: str) -> None:
    """The answer is the queue as it is then; metrics, types, log and the job say so too."""
    told = await act(running_api, "pause", query)
    paused_types = ["echo"] if query else []
    assert told == {**NOTHING_WAITS, "paused": not query, "paused_types": paused_types}
    job_id = await running_api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(job_id)
    assert job["waits_because"] == ("echo is paused" if query else "the queue is paused")
    metrics = (await running_api.ask("/metrics")).json
    assert (metrics["queue_paused"], metrics["job_types_paused"]) == ((0, 1) if query else (1, 0))
    told_types = await types(running_api)
    assert [name for name, told in told_types.items() if told["paused"]] == paused_types

    assert (await act(running_api, "resume", query))["paused_types"] == []
    await trio.testing.wait_all_tasks_blocked()
    assert (await running_api.read_job(job_id))["status"] == "completed"
    assert await view(running_api) == NOTHING_WAITS
    lines = [line for line in running_api.rig.lines if line["event"].startswith("queue_")]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "queue_paused"),
        ("info", "queue_resumed"),
    ]
    assert [line.get("job_type") for line in lines] == ["echo" if query else None] * 2


@WHOLE_OR_TYPE
async def test_to_pause_or_resume_again_is_answered_and_changes_nothing(
    api: Api, query: str
) -> None:
    """A client that is not sure may ask twice."""
    before = await view(api)
    with api.nothing_changes():
        assert await act(api, "resume", query) == before
    paused = await act(api, "pause", query)
    with api.nothing_changes():
        assert await act(api, "pause", query) == paused
    assert await act(api, "resume", query) == before


@pytest.mark.parametrize("query", ["?type=nobody", "?type=", "?type=Echo", "?type=echo,email"])
@pytest.mark.parametrize("path", ["/queue/pause", "/queue/resume", "/jobs/cancel"])
async def test_an_unknown_type_is_refused(api: Api, path: str, query: str) -> None:
    """A slip of the pen must not pass for done; the detail names the types that there are."""
    await api.submit("echo")
    with api.nothing_changes():
        answer = await api.ask(path + query, "POST")
        assert "echo, email, endless, flaky" in check_problem(answer, 400, "unknown-job-type")


@pytest.mark.parametrize("path", ["/queue/pause", "/queue/resume"])
async def test_to_look_is_not_to_touch(api: Api, path: str) -> None:
    """GET neither pauses nor resumes."""
    with api.nothing_changes():
        check_problem(await api.ask(path), 405)


async def test_jobs_are_taken_while_paused(make_api: MakeApi) -> None:
    """A pause is no drain: 201 until the queue is full, then 429; and ready all the while."""
    api = make_api(queue_capacity=2)
    await api.rig.start()
    await act(api, "pause")
    assert (await api.ask("/health/ready")).status == 200
    for _ in range(2):
        await api.submit("echo")
    check_problem(await api.post(b'{"type": "echo"}'), 429, "queue-full")
    await act(api, "resume")
    await trio.testing.wait_all_tasks_blocked()
    await api.submit("echo")


async def test_all_jobs_of_a_type_are_called_off(running_api: Api) -> None:
    """The answer counts those that waited and those that ran; all others are left alone."""
    ids = [await running_api.submit("endless") for _ in range(3)]
    await trio.testing.wait_all_tasks_blocked()
    other = await running_api.submit("echo")
    answer = await cancel_all(running_api, "?type=endless")
    assert (answer.status, answer.json) == (200, {"cancelled": 1, "interrupted": 2})
    assert answer.headers["Content-Type"] == "application/json"
    await trio.testing.wait_all_tasks_blocked()
    assert [(await running_api.read_job(i))["status"] for i in ids] == ["cancelled"] * 3
    assert (await running_api.read_job(other))["status"] == "completed"
    assert (await cancel_all(running_api, "?type=endless")).json == {
        "cancelled": 0,
        "interrupted": 0,
    }


@pytest.mark.parametrize(("status", "counts"), [("pending", (1, 0)), ("processing", (0, 2))])
async def test_it_may_be_narrowed_to_one_state(
    running_api: Api, status: str, counts: tuple[int, int]
) -> None:
    """Only those that wait, or only those that run."""
    for _ in range(3):
        await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()
    answer = await cancel_all(running_api, f"?type=endless&status={status}")
    assert tuple(answer.json.values()) == counts
    await trio.testing.wait_all_tasks_blocked()
    metrics = (await running_api.ask("/metrics")).json
    assert (metrics["jobs_cancelled"], metrics["jobs_in_progress"]) == (
        sum(counts),
        3 - sum(counts),
    )


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "type"),
        ("?limit=5", "type"),
        *((f"?type=echo&status={bad}", "status") for bad in ("", "done", "failed", "Pending")),
    ],
)
async def test_what_is_not_clear_calls_nothing_off(api: Api, query: str, named: str) -> None:
    """Without a word on which jobs, or with a state that can't be left, it is a 400."""
    await api.submit("echo")
    with api.nothing_changes():
        assert named in check_problem(await cancel_all(api, query), 400, "malformed")


async def test_places_are_free_at_once(make_api: MakeApi) -> None:
    """If the queue was full of what is cancelled, new jobs are accepted right after."""
    api = make_api(queue_capacity=50)
    for _ in range(50):
        await api.submit("endless")
    check_problem(await api.post(b'{"type": "echo"}'), 429, "queue-full")
    assert (await cancel_all(api, "?type=endless")).json == {"cancelled": 50, "interrupted": 0}
    for _ in range(50):
        await api.submit("echo")


@pytest.fixture
def limited(registry: Registry) -> None:
    """One more job type, `limited`, which has all the terms that one can have."""

    @registry.job("limited", concurrency=1, timeout=2.5)
    async def run_limited() -> None:
        await trio.sleep_forever()


async def test_types_tell_their_terms_and_their_jobs(limited: None, running_api: Api) -> None:
    """Sorted by name, a number for every state; what does not apply is absent."""
    await running_api.submit("echo")
    for _ in range(3):
        await running_api.submit("limited")
    await trio.testing.wait_all_tasks_blocked()
    answer = await running_api.ask("/types")
    assert answer.headers["Cache-Control"] == "no-store"
    names = [told["type"] for told in answer.json]
    assert names == ["echo", "email", "endless", "flaky", "limited"]
    echo, email, _, _, told = answer.json
    no_jobs = dict.fromkeys(
        ["pending", "processing", "completed", "failed", "cancelled", "abandoned"], 0
    )
    terms = {"runs_in": "loop", "max_retries": 3, "paused": False}
    assert echo == {"type": "echo", **terms, **no_jobs, "completed": 1}
    assert email == {"type": "email", **terms, "max_retries": 5, **no_jobs}
    limited_terms = {**terms, "timeout_seconds": 2.5, "concurrency": 1, "is_limited": True}
    assert told == {"type": "limited", **limited_terms, **no_jobs, "pending": 2, "processing": 1}
    (waiting, _) = await running_api.listed("?type=limited&status=pending")
    job = await running_api.read_job(waiting)
    assert job["waits_because"] == "held back: limited runs 1 of at most 1"


async def test_types_tell_what_holds_per_key_and_per_time(registry: Registry, api: Api) -> None:
    """And a job shows its key."""

    @registry.job("fair", concurrency=2, rate=Rate(5, per_seconds=60), per=lambda of: of)
    async def run_fair(of: str) -> None: ...

    told = next(each for each in (await api.ask("/types")).json if each["type"] == "fair")
    limits = {"concurrency": 2, "rate_starts": 5, "rate_seconds": 60.0, "per_key": True}
    assert told | limits == told
    job = await api.submit("fair", "acme")
    assert (await api.read_job(job))["limit_key"] == "acme"


async def test_reading_them_changes_nothing(api: Api) -> None:
    """However often one looks."""
    await api.submit("echo", delay_seconds=5)
    with api.nothing_changes():
        for path in ("/queue", "/types"):
            first = await api.ask(path)
            assert first.json == (await api.ask(path)).json
