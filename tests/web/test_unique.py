"""`unique_key` over HTTP: who submits what is there already is answered with 200 and that job."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi

NDJSON = {"Content-Type": "application/x-ndjson"}


def job(payload: Any = 1, key: str | None = "k") -> bytes:
    """An `echo` with this unique key."""
    return msgspec.json.encode({"type": "echo", "payload": payload, "unique_key": key})


def batch(*keys: str | None) -> bytes:
    """An `echo` for each key."""
    return b"\n".join(job(key=key) for key in keys)


async def post_again(api: Api, path: str, headers: dict[str, str], body: bytes) -> list[Answer]:
    """The answers to one request that is sent twice, with an idempotency key."""
    headers = {**headers, "Idempotency-Key": "again"}
    return [await api.ask(path, "POST", headers, body) for _ in range(2)]


async def test_a_duplicate_is_answered_with_200_and_the_job_that_is_there(api: Api) -> None:
    """With its Location, too; the first was answered with 201, and says nothing of duplicates."""
    first, second = await api.post(job(1)), await api.post(job(2))
    assert (first.status, second.status) == (201, 200)
    assert "duplicate" not in first.json
    assert second.json == {**first.json, "duplicate": True}
    assert first.json["unique_key"] == "k"
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in second.headers
    kept = await api.read_job(first.json["id"])
    assert (kept["payload"], kept["unique_key"]) == (1, "k")
    assert "duplicate" not in kept
    assert await api.listed() == [first.json["id"]]
    counters = api.counters()
    assert (counters["jobs_created"], counters["jobs_deduplicated"]) == (1, 1)


async def test_the_key_is_free_when_its_job_has_ended(running_api: Api) -> None:
    """Then the same submission makes a new job."""
    first = await running_api.post(job())
    await trio.testing.wait_all_tasks_blocked()
    second = await running_api.post(job())
    assert (first.status, second.status) == (201, 201)
    assert second.json["id"] != first.json["id"]


async def test_a_duplicate_is_answered_where_nothing_else_would_be(make_api: MakeApi) -> None:
    """By a full queue, and during a drain."""
    api = make_api(queue_capacity=1)
    assert (await api.post(job())).status == 201
    assert (await api.post(job())).status == 200
    check_problem(await api.post(job(key="l")), 429, "queue-full")
    api.rig.engine.drain(60)
    assert (await api.post(job())).status == 200
    check_problem(await api.post(job(key="l")), 503, "draining")


async def test_a_batch_says_how_many_of_its_lines_made_no_job(api: Api) -> None:
    """Each line has its id, whoever made the job."""
    held = (await api.post(job(key="held"))).json["id"]
    answer = await api.ask("/jobs/batch", "POST", NDJSON, batch("held", "a", None, "a", None))
    ids = answer.json["ids"]
    assert (answer.status, answer.json["duplicates"]) == (201, 2)
    assert (len(ids), len(set(ids)), ids[0], ids[1]) == (5, 4, held, ids[3])
    without = await api.ask("/jobs/batch", "POST", NDJSON, batch(None, "b"))
    assert "duplicates" not in without.json


async def test_a_duplicate_that_is_repeated_is_answered_as_at_first(running_api: Api) -> None:
    """With 200, and as a duplicate, also when the job has got on; and it is counted once."""
    await running_api.rig.queue.pause()
    held = (await running_api.post(job())).json["id"]
    first, second = await post_again(running_api, "/jobs", JSON, job())
    await running_api.rig.queue.resume()
    await trio.testing.wait_all_tasks_blocked()
    third = (await post_again(running_api, "/jobs", JSON, job()))[0]
    assert [answer.status for answer in (first, second, third)] == [200, 200, 200]
    for replay, status in ((second, "pending"), (third, "completed")):
        assert replay.headers["Idempotent-Replayed"] == "true"
        assert (replay.json["id"], replay.json["status"]) == (held, status)
        assert (replay.json["duplicate"], replay.json["replayed"]) == (True, True)
    assert running_api.counters()["jobs_deduplicated"] == 1


async def test_a_job_that_was_new_is_not_a_duplicate_when_it_is_repeated(api: Api) -> None:
    """Though it holds its key by then: it was made by this very request."""
    first, second = await post_again(api, "/jobs", JSON, job())
    assert (first.status, second.status) == (201, 201)
    assert second.json == {**first.json, "replayed": True}


async def test_a_batch_that_is_repeated_is_answered_as_at_first(api: Api) -> None:
    """With the same ids, and the same number of duplicates."""
    await api.post(job(key="held"))
    body = batch("held", "a", "a")
    first, second = await post_again(api, "/jobs/batch", NDJSON, body)
    assert (second.status, second.body) == (first.status, first.body)
    assert first.json["duplicates"] == 2
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_a_retry_of_a_job_whose_key_another_has_is_answered_with_that_one(api: Api) -> None:
    """200 and the other job."""
    old = (await api.post(job())).json["id"]
    await api.ask(f"/jobs/{old}/cancel", "POST")
    new = (await api.post(job())).json["id"]
    first, second = await post_again(api, f"/jobs/{old}/retry", {}, b"")
    for answer in (first, second):
        assert (answer.status, answer.json["id"], answer.json["duplicate"]) == (200, new, True)
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256, 7, True, ["k"], {}])
async def test_what_is_no_unique_key_is_refused(api: Api, key: Any) -> None:
    """400, and nothing is accepted."""
    body = msgspec.json.encode({"type": "echo", "unique_key": key})
    with api.nothing_changes():
        check_problem(await api.post(body), 400, "malformed")


async def test_null_is_no_unique_key(api: Api) -> None:
    """Two jobs without one are two jobs."""
    answers = [await api.post(job(key=None)) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert "unique_key" not in answers[0].json
