"""`POST /jobs/batch`: a job a line, or an array of jobs, and all of them or none."""

import itertools
import json
from typing import Any

import pytest
import trio

from job_service.web import submissions
from job_service.web.submissions import MAX_BATCH_JOBS, MAX_BATCH_LINES, MAX_JOB_BYTES
from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi

NDJSON = {"Content-Type": "application/x-ndjson"}
ECHO = b'{"type": "echo"}'


async def post_batch(api: Api, body: bytes, **headers: str) -> Answer:
    """`POST /jobs/batch` with this body."""
    return await api.ask("/jobs/batch", "POST", {**NDJSON, **headers}, body)


def lines(*jobs: Any) -> bytes:
    """The jobs as NDJSON."""
    return b"".join(json.dumps(job).encode() + b"\n" for job in jobs)


async def test_the_ids_are_answered_in_the_order_of_the_lines(running_api: Api) -> None:
    """Each job is what POST /jobs would have made of its line."""
    body = lines(
        {"type": "echo", "payload": {"n": 1}},
        {"type": "email", "payload": {"to": "a@example.org"}, "max_retries": 0},
        {"type": "echo"},
    )
    answer = await post_batch(running_api, body)
    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json) == ["ids"]
    assert answer.json["ids"] == await running_api.listed()
    await trio.testing.wait_all_tasks_blocked()
    stories = [await running_api.read_job(job_id) for job_id in answer.json["ids"]]
    assert [job["type"] for job in stories] == ["echo", "email", "echo"]
    assert [job["max_retries"] for job in stories] == [3, 0, 3]
    assert [job["status"] for job in stories] == ["completed"] * 3
    assert stories[0]["result"] == {"n": 1}


@pytest.mark.parametrize(
    "body",
    [
        ECHO + b"\n" + ECHO,
        ECHO + b"\n" + ECHO + b"\n",
        ECHO + b"\r\n" + ECHO + b"\r\n",
        b"\n\n" + ECHO + b"\n \t \n" + ECHO + b"\n\n\n",
    ],
    ids=["no newline at the end", "newlines", "CRLF", "blank lines"],
)
async def test_lines_may_end_as_they_like(api: Api, body: bytes) -> None:
    """The last newline may be left out, and blank lines are skipped."""
    answer = await post_batch(api, body)
    assert answer.status == 201, answer
    assert len(answer.json["ids"]) == 2


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b"nonsense", "malformed"),
        (b'{"payload": 1}', "malformed"),
        (ECHO + ECHO, "malformed"),
        (b"\x0c", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"type": "nobody_knows"}', "unknown-job-type"),
        (b'{"type": "email", "payload": {"to": 7}}', "invalid-payload"),
        (b'{"type": "echo", "payload": "\xff"}', "invalid-payload"),
    ],
)
async def test_the_first_bad_line_is_named_and_nothing_accepted(
    api: Api, bad: bytes, kind: str
) -> None:
    """Lines are counted as an editor does, from 1 and with the blank ones."""
    body = b"\n".join([ECHO, b"", ECHO, bad, ECHO, b"nonsense"])
    with api.nothing_changes():
        detail = check_problem(await post_batch(api, body), 400, kind)
        assert detail.startswith("line 4: ")


async def test_a_batch_may_be_an_array(running_api: Api) -> None:
    """Clients that are generated from the document can write no lines."""
    jobs = [{"type": "echo", "payload": {"n": 1}}, {"type": "echo", "priority": 0}]
    answer = await running_api.ask("/jobs/batch", "POST", JSON, json.dumps(jobs).encode())
    assert answer.status == 201, answer
    assert sorted(answer.json["ids"]) == sorted(await running_api.listed())
    first, second = [await running_api.read_job(job_id) for job_id in answer.json["ids"]]
    assert (first["payload"], second["priority"]) == ({"n": 1}, 0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not an array of jobs: "),
        (b"[]", "there is no job in it"),
        (ECHO, "not an array of jobs: "),
        (b"[" + ECHO, "not an array of jobs: "),
        (b"[" * 100_000, "not an array of jobs: "),
        (b"[%b, 7]" % ECHO, "job 2: not a job: "),
        (b'[%b, {"type": "email", "payload": {"to": 7}}]' % ECHO, "job 2: "),
        (b'[%b, {"type": "echo", "payload": "\xff"}]' % ECHO, "job 2: "),
    ],
)
async def test_the_first_bad_member_of_an_array_is_named(api: Api, body: bytes, says: str) -> None:
    """And nothing is accepted."""
    with api.nothing_changes():
        answer = await api.ask("/jobs/batch", "POST", JSON, body)
        kind = "invalid-payload" if b"invalid-payload" in answer.body else "malformed"
        assert check_problem(answer, 400, kind).startswith(says)


async def test_an_array_has_a_largest_size(api: Api) -> None:
    """1 MiB is taken, a byte more is not: more than that is sent in lines."""
    body = b"[%b]" % ECHO
    with api.nothing_changes():
        too_long = body.ljust(MAX_JOB_BYTES + 1)
        check_problem(await api.ask("/jobs/batch", "POST", JSON, too_long), 413)
    answer = await api.ask("/jobs/batch", "POST", JSON, body.ljust(MAX_JOB_BYTES))
    assert answer.status == 201


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
async def test_a_batch_without_a_job_is_refused(api: Api, body: bytes) -> None:
    """It is more likely a mistake than a wish."""
    with api.nothing_changes():
        check_problem(await post_batch(api, body), 400, "malformed")


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", ""])
async def test_a_batch_must_be_said_to_be_json(api: Api, content_type: str) -> None:
    """Else it gets 415, and the detail says what is wanted."""
    with api.nothing_changes():
        answer = await api.ask("/jobs/batch", "POST", {"Content-Type": content_type}, ECHO)
        assert "application/x-ndjson" in check_problem(answer, 415)


async def test_a_batch_that_does_not_fit_is_turned_away_as_a_whole(make_api: MakeApi) -> None:
    """429 with Retry-After; the detail says how many would have fit."""
    api = make_api(queue_capacity=5)
    waiting = [await api.submit("echo") for _ in range(2)]
    counters = api.counters()
    answer = await post_batch(api, lines(*[{"type": "echo"}] * 4))
    assert check_problem(answer, 429, "queue-full").startswith("3 more jobs fit, not 4")
    assert int(answer.headers["Retry-After"]) > 0
    assert await api.listed() == waiting
    assert api.counters() == {**counters, "jobs_rejected": 4}
    assert (await post_batch(api, lines(*[{"type": "echo"}] * 3))).status == 201


async def test_a_batch_that_can_never_fit_is_too_large(make_api: MakeApi) -> None:
    """413 without Retry-After, for it would not fit later either."""
    api = make_api(queue_capacity=3)
    answer = await post_batch(api, lines(*[{"type": "echo"}] * 4))
    assert (
        check_problem(answer, 413, "batch-too-large") == "4 jobs never fit: the queue has 3 places"
    )
    assert "Retry-After" not in answer.headers
    assert await api.listed() == []


async def test_a_draining_service_takes_no_batch(running_api: Api) -> None:
    """503 with Retry-After, as for a single job."""
    running_api.rig.engine.drain(10)
    answer = await post_batch(running_api, ECHO)
    check_problem(answer, 503, "draining")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.slow
async def test_a_batch_has_a_largest_number_of_jobs(make_api: MakeApi) -> None:
    """10,000 are taken, one more is not."""
    api = make_api(queue_capacity=20_000)
    body = (ECHO + b"\n\n") * MAX_BATCH_JOBS
    with api.nothing_changes():
        assert str(MAX_BATCH_JOBS) in check_problem(await post_batch(api, body + ECHO), 413)
    assert len((await post_batch(api, body)).json["ids"]) == MAX_BATCH_JOBS == 10_000


async def test_a_batch_has_a_largest_size(api: Api) -> None:
    """16 MiB are taken, a byte more is not; and each of its lines may be as long as a job may."""
    longest = b'{"type":"echo","payload":"%s"}\n' % (b"x" * (MAX_JOB_BYTES - 29))
    assert len(longest) == MAX_JOB_BYTES
    with api.nothing_changes():
        check_problem(await post_batch(api, longest * 16 + b"\n"), 413)
        too_long = longest.replace(b"x", b"xx", 1)
        assert check_problem(await post_batch(api, ECHO + b"\n" + too_long), 413).startswith(
            "line 2"
        )
    assert len((await post_batch(api, longest * 16)).json["ids"]) == 16


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"\r\n"])
async def test_a_batch_has_a_largest_number_of_lines(api: Api, blank: bytes) -> None:
    """Blank ones count, for each of them costs a look."""
    body = blank * MAX_BATCH_LINES
    with api.nothing_changes():
        assert "100,000 lines" in check_problem(await post_batch(api, body + b"\n"), 413)
    assert len((await post_batch(api, body + ECHO)).json["ids"]) == 1


async def test_a_blank_line_may_be_no_longer_than_a_job(api: Api) -> None:
    """Else a batch of blanks alone could be one long line."""
    with api.nothing_changes():
        body = ECHO + b"\n" + b" " * MAX_JOB_BYTES + b"\n" + ECHO
        assert check_problem(await post_batch(api, body), 413).startswith("line 2: ")


@pytest.mark.parametrize("line", [ECHO, b"", b" " * 1_000], ids=["jobs", "nothing", "blanks"])
async def test_a_large_batch_lets_other_requests_through_while_it_is_checked(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    """Every few milliseconds, however much or little a line takes; it is accepted in one step."""
    api = make_api(queue_capacity=20_000)
    seen: list[int] = []
    clock = itertools.count()
    monkeypatch.setattr(submissions, "perf_counter", lambda: next(clock) / 10_000)

    async def watch() -> None:
        while True:
            seen.append(int(api.counters()["jobs_created"]))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await post_batch(api, (line + b"\n") * 5_000 + ECHO)
        nursery.cancel_scope.cancel()
    assert {0} <= set(seen) <= {0, 1, 5_001}
    assert seen.count(0) >= 5_000 / 10_000 / submissions.TURN_SECONDS * 0.9


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_batch_is_no_job_that_could_be_read(api: Api, method: str) -> None:
    """The path is there for POST alone, and says so."""
    answer = await api.ask("/jobs/batch", method)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
