"""`Idempotency-Key`: a client that does not know whether its request arrived may repeat it."""

import pytest
import trio

from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi

BODY = b'{"type": "echo", "payload": 1}'
ROUTES = {
    "/jobs": ("application/json", BODY),
    "/jobs/batch": ("application/x-ndjson", BODY + b"\n" + BODY),
}


async def post(api: Api, path: str, key: str, body: bytes | None = None) -> Answer:
    """Post to this path, with this key."""
    content_type, usual = ROUTES.get(path, ("application/json", b""))
    headers = {"Content-Type": content_type, "Idempotency-Key": key}
    return await api.ask(path, "POST", headers, usual if body is None else body)


async def test_a_repeated_job_is_answered_as_it_was_and_said_to_be_a_replay(
    running_api: Api,
) -> None:
    """The same status, Location and job, which may have got on since."""
    first = await post(running_api, "/jobs", '"k"')
    await trio.testing.wait_all_tasks_blocked()
    second = await post(running_api, "/jobs", '"k"')
    assert (first.status, second.status) == (201, 201)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert second.json["id"] == first.json["id"]
    assert (second.json["status"], second.json["replayed"]) == ("completed", True)
    assert await running_api.listed() == [first.json["id"]]


async def test_a_repeated_batch_is_answered_as_it_was(api: Api) -> None:
    """The same ids, and no new jobs."""
    first = await post(api, "/jobs/batch", '"k"')
    second = await post(api, "/jobs/batch", '"k"')
    assert (second.status, second.body) == (201, first.body)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert await api.listed() == first.json["ids"]


async def test_a_job_is_run_again_once(running_api: Api) -> None:
    """A retry that is repeated with its key is answered with the job of the first time."""
    old = await running_api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    first = await post(running_api, f"/jobs/{old}/retry", '"k"')
    second = await post(running_api, f"/jobs/{old}/retry", '"k"')
    assert (first.status, second.status) == (201, 201)
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert await running_api.listed() == [old, first.json["id"]]


async def test_quoted_or_bare_a_key_is_the_same(api: Api) -> None:
    """As the draft wants it, and as most clients send it."""
    first = await post(api, "/jobs", '"8e03978e-40d5"')
    assert (await post(api, "/jobs", "8e03978e-40d5")).json["id"] == first.json["id"]
    escaped = await post(api, "/jobs", r'"a\"b\\c"')
    assert (await post(api, "/jobs", r'a"b\c')).json["id"] == escaped.json["id"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "key",
    [
        *("", '""', '"', '"a', '"a"b"', r'"a\b"', '"a\\"', '"a" "b"', '"a", "b"', "a b"),
        *("ü", '"ü"', "x" * 256, '"' + "x" * 256 + '"'),
    ],
)
async def test_what_is_no_key_is_refused(api: Api, path: str, key: str) -> None:
    """400, and nothing is accepted."""
    with api.nothing_changes():
        check_problem(await post(api, path, key), 400, "malformed")


@pytest.mark.parametrize("key", ["x", "x" * 255, '"' + "x" * 255 + '"', "a,b;c=d", "*"])
async def test_a_key_has_up_to_255_characters(api: Api, key: str) -> None:
    """Of any visible kind."""
    assert (await post(api, "/jobs", key)).status == 201


@pytest.mark.parametrize("path", ROUTES)
async def test_another_request_with_the_same_key_is_refused(api: Api, path: str) -> None:
    """422: one of the two is a mistake of the client's."""
    await post(api, path, "k")
    with api.nothing_changes():
        other = await post(api, path, "k", b'{"type": "echo", "payload": 2}')
        check_problem(other, 422, "idempotency-key-reused")


async def test_two_at_the_same_time_make_one_job(api: Api) -> None:
    """Whichever comes first makes it, and the other learns of it."""
    answers: list[Answer] = []

    async def submit() -> None:
        answers.append(await post(api, "/jobs", "k"))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(submit)
    assert {answer.status for answer in answers} == {201}
    assert {answer.json["id"] for answer in answers} == set(await api.listed())
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 9


async def test_a_refused_request_may_be_repeated_with_its_key(make_api: MakeApi) -> None:
    """400, 429 and 503 are not remembered."""
    api = make_api(queue_capacity=1)
    check_problem(await post(api, "/jobs", "k", b"no job"), 400, "malformed")
    waiting = await api.submit("echo")
    check_problem(await post(api, "/jobs", "k"), 429, "queue-full")
    await api.rig.queue.cancel(waiting)
    accepted = await post(api, "/jobs", "k")
    assert accepted.status == 201
    assert "Idempotent-Replayed" not in accepted.headers


async def test_a_known_key_is_answered_during_a_drain(running_api: Api) -> None:
    """The job was accepted before, and the client may just not know it."""
    first = await post(running_api, "/jobs", "k")
    running_api.rig.engine.drain(10)
    again = await post(running_api, "/jobs", "k")
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    check_problem(await post(running_api, "/jobs", "l"), 503, "draining")


@pytest.mark.parametrize("path", ROUTES)
async def test_what_has_been_forgotten_is_not_asked_for_again(path: str, make_api: MakeApi) -> None:
    """A job that the repeated one came after need not be there any more; for a new one it must."""
    api = make_api(retain=1)
    await api.rig.start()
    first = await api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    body = b'{"type": "endless", "after": ["%s"]}' % first.encode()
    accepted = await post(api, path, "k", body)
    await api.submit("echo")
    await trio.testing.wait_all_tasks_blocked()
    replay = await post(api, path, "k", body)
    assert (accepted.status, replay.status) == (201, 201)
    assert replay.headers["Idempotent-Replayed"] == "true"
    check_problem(await post(api, path, "l", body), 409, "unknown-predecessor")
    api.rig.engine.stop("enough")


async def test_without_a_key_nothing_is_a_replay(api: Api) -> None:
    """Two equal submissions are two jobs."""
    answers = [await api.ask("/jobs", "POST", JSON, BODY) for _ in range(2)]
    assert all("Idempotent-Replayed" not in answer.headers for answer in answers)
    assert len(await api.listed()) == 2
