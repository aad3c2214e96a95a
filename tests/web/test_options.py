"""What may be asked for with a submission: taken as it is meant, or refused by name."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi

TEN_YEARS = 10 * 365 * 86_400

BAD: dict[str, dict[str, bytes]] = {
    "delay_seconds": {
        "negative": b"-1",
        "barely negative": b"-1e-9",
        "minus infinity": b"-1e999",
        "beyond a float": b"1e999",
        "beyond ten years": b"%d" % (TEN_YEARS + 1),
        "5000 digits": b"1" * 5_000,
        "string": b'"5"',
        "boolean": b"true",
        "array": b"[5]",
        "object": b"{}",
    },
    "run_at": {
        "naive": b'"2026-12-24T18:00:00"',
        "a date": b'"2026-12-24"',
        "a time": b'"18:00:00Z"',
        "empty": b'""',
        "a word": b'"tomorrow"',
        "no such month": b'"2026-13-01T00:00:00Z"',
        "no such day": b'"2027-02-29T00:00:00Z"',
        "no such hour": b'"2026-12-24T24:00:01Z"',
        "no such offset": b'"2026-12-24T18:00:00+25:00"',
        "beyond ten years": b'"2099-01-01T00:00:00Z"',
        "the end of time": b'"9999-12-31T23:59:59.999999-12:00"',
        "beyond the end of time": b'"10000-01-01T00:00:00Z"',
        "number": b"1790000000",
        "float": b"1790000000.5",
        "boolean": b"true",
        "array": b"[]",
    },
    "priority": {
        "below the first": b"-1",
        "behind the last": b"10",
        "beyond 64 bits": b"36893488147419103232",
        "5000 digits": b"1" * 5_000,
        "float": b"5.5",
        "whole number and a bit": b"5.000001",
        "string": b'"5"',
        "boolean": b"true",
        "array": b"[]",
    },
    "unique_key": {
        "empty": b'""',
        "too long": b'"%s"' % (b"x" * 256),
        "too long, in two bytes each": b'"%s"' % ("ß" * 256).encode(),
        "number": b"7",
        "boolean": b"false",
        "array": b'["k"]',
        "object": b"{}",
    },
    "after": {
        "a string": b'"01890000-0000-7000-8000-000000000000"',
        "object": b'{"id": 1}',
        "number": b"7",
        "boolean": b"true",
        "a number in it": b"[7]",
        "null in it": b"[null]",
        "an array in it": b'[["x"]]',
        "too many": b"[" + b",".join([b'"x"'] * 1_001) + b"]",
    },
    "tags": {
        "a string": b'"urgent"',
        "object": b'{"urgent": true}',
        "a number in it": b'["urgent", 7]',
        "null in it": b"[null]",
        "an empty one": b'["urgent", ""]',
        "one that is too long": b'["%s"]' % (b"x" * 65),
        "too many": b"[" + b",".join([b'"x"'] * 11) + b"]",
    },
}
EVERY_BAD_ONE = [
    pytest.param(field, value, id=f"{field}: {what}")
    for field, values in BAD.items()
    for what, value in values.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(("field", "value"), EVERY_BAD_ONE)
async def test_a_value_that_can_t_be_is_refused_by_the_name_of_its_field(
    api: Api, field: str, value: bytes
) -> None:
    """A bad option gets 400, the detail names it, and nothing has changed."""
    with api.nothing_changes():
        answer = await api.post(b'{"type": "echo", "%s": %s}' % (field.encode(), value))
        assert field in check_problem(answer, 400, "malformed")


@pytest.mark.parametrize(("field", "value"), EVERY_BAD_ONE)
async def test_in_a_batch_its_line_is_named_as_well(api: Api, field: str, value: bytes) -> None:
    """One bad option in one line, and none of the jobs is made."""
    with api.nothing_changes():
        good, bad = b'{"type": "echo"}', b'{"type": "echo", "%s": %s}' % (field.encode(), value)
        detail = check_problem(await batch(api, good, good, bad, good), 400, "malformed")
        assert detail.startswith("line 3: ")
        assert field in detail


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"+5", b"05", b".5", b"0x5"])
@pytest.mark.parametrize("field", ["delay_seconds", "priority"])
async def test_a_number_that_is_no_json_is_refused(api: Api, field: str, value: bytes) -> None:
    """There is no NaN in JSON, whatever some writers of it believe."""
    with api.nothing_changes():
        answer = await api.post(b'{"type": "echo", "%s": %s}' % (field.encode(), value))
        check_problem(answer, 400, "malformed")


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        *(("priority", "3.0", 3), ("priority", "0.0", 0), ("priority", "-0.0", 0)),
        *(("priority", "9e0", 9), ("priority", "0.3e1", 3), ("priority", "900E-2", 9)),
        *(("max_retries", "7.0", 7), ("max_retries", "1e2", 100), ("max_retries", "1000.0", 1_000)),
    ],
)
async def test_a_whole_number_may_be_written_with_a_fraction_or_an_exponent(
    running_api: Api, field: str, text: str, value: int
) -> None:
    """To JSON Schema, and so to OpenAPI, it is an integer all the same; in a batch, too."""
    body = b'{"type": "echo", "%s": %s}' % (field.encode(), text.encode())
    answer = await running_api.post(body)
    assert (answer.status, answer.json[field]) == (201, value)
    assert isinstance(answer.json[field], int)
    (job_id,) = (await batch(running_api, body)).json["ids"]
    assert (await running_api.read_job(job_id))[field] == value


@pytest.mark.parametrize("text", ["10.0", "-1.0", "1e1", "1e400", "4e-1", "3.0000000001"])
async def test_what_is_out_of_range_or_no_whole_number_is_refused_however_it_is_written(
    api: Api, text: str
) -> None:
    """A fraction does not lift the bounds, and is not cut off."""
    with api.nothing_changes():
        answer = await api.post(b'{"type": "echo", "priority": %s}' % text.encode())
        assert "priority" in check_problem(answer, 400, "malformed")


async def test_many_predecessors_are_told_only_with_the_job_itself(running_api: Api) -> None:
    """A list, an answer and a line have the first ten, and say how many there are."""
    await running_api.rig.queue.pause()
    ids = [await running_api.submit("echo") for _ in range(12)]
    asked = msgspec.json.encode({"type": "echo", "after": ids})
    answer = await running_api.post(asked)
    (listed,) = (await running_api.ask("/jobs?order=newest&limit=1")).json
    (line,) = [line for line in running_api.rig.lines if "after" in line]
    for told in (answer.json, listed, line):
        assert (told["after"], told["after_count"]) == (ids[:10], 12)
    job = await running_api.read_job(answer.json["id"])
    assert job["after"] == ids
    assert "after_count" not in job


async def test_ten_predecessors_are_told_everywhere(running_api: Api) -> None:
    """And need no count."""
    await running_api.rig.queue.pause()
    ids = [await running_api.submit("echo") for _ in range(10)]
    answer = await running_api.post(msgspec.json.encode({"type": "echo", "after": ids}))
    (line,) = [line for line in running_api.rig.lines if "after" in line]
    for told in (answer.json, line):
        assert told["after"] == ids
        assert "after_count" not in told


async def test_two_moments_are_one_too_many(api: Api) -> None:
    """A delay and a moment can't be used together, and the detail names both."""
    with api.nothing_changes():
        body = b'{"type": "echo", "delay_seconds": 5, "run_at": "2026-12-24T18:00:00Z"}'
        detail = check_problem(await api.post(body), 400, "malformed")
        assert "delay_seconds and run_at can't be used together" in detail


GOOD: list[dict[str, Any]] = [
    {"delay_seconds": 0},
    {"delay_seconds": 0.5},
    {"delay_seconds": TEN_YEARS},
    {"run_at": "1970-01-01T00:00:00Z"},
    {"run_at": "0001-01-01T00:00:00+14:00"},
    {"priority": 0},
    {"priority": 5},
    {"priority": 9},
    {"unique_key": "k"},
    {"unique_key": " "},
    {"unique_key": "ß" * 255},
    {"unique_key": "\U0001f4a5" * 255},
    {"unique_key": "\0"},
    {"after": []},
    dict.fromkeys(["delay_seconds", "run_at", "priority", "unique_key", "after", "max_retries"]),
]


@pytest.mark.parametrize("options", GOOD, ids=[str(options)[:40] for options in GOOD])
async def test_a_value_at_the_edge_is_taken(api: Api, options: dict[str, Any]) -> None:
    """What is just allowed is accepted, null is the same as leaving it out, and the job says so."""
    job = await api.read_job(await api.submit("echo", **options))
    for field in ("priority", "unique_key", "after"):
        wanted = options.get(field)
        assert job.get(field) == (None if wanted in (5, []) else wanted)
    assert ("run_at" in job) == bool(options.get("delay_seconds"))
    assert (await api.ask("/metrics")).json["jobs_pending"] == 1


async def test_a_moment_may_be_told_in_any_time_zone(api: Api) -> None:
    """It comes back in UTC, in the answer, with the job and in the log alike."""
    year = datetime.now(UTC).year + 1
    job_id = await api.submit("echo", run_at=f"{year}-12-24T19:00:00.25+01:00")
    assert (await api.read_job(job_id))["run_at"] == f"{year}-12-24T18:00:00.250000Z"
    (line,) = [line for line in api.rig.lines if line["event"] == "job_created"]
    assert line["run_at"] == f"{year}-12-24T18:00:00.250000Z"


async def test_a_job_tells_what_was_asked_for(running_api: Api) -> None:
    """The answer, the job, the list and the log line have it, and say why it waits."""
    first = await running_api.submit("endless")
    asked = {"priority": 2, "unique_key": "k", "after": [first], "max_retries": 7}
    answer = await running_api.post(msgspec.json.encode({"type": "echo", **asked}))
    job_id = answer.json["id"]
    job = await running_api.read_job(job_id)
    (_, listed) = (await running_api.ask("/jobs")).json
    for told in (answer.json, job, listed):
        assert {field: told[field] for field in asked} == asked
    assert job["waits_because"] == f"waits for job {first}"
    (line,) = [line for line in running_api.rig.lines if line.get("job_id") == job_id]
    assert list(line)[3:] == ["job_id", "job_type", "priority", "unique_key", "after"]


@pytest.mark.parametrize("unknown", ["", "nobody", "01890000-0000-7000-8000-000000000000"])
async def test_a_job_that_is_not_there_can_t_be_come_after(api: Api, unknown: str) -> None:
    """An unknown id is a 409 that names it, alone and in a batch, and no job is made."""
    there = await api.submit("echo")
    body = msgspec.json.encode({"type": "echo", "after": [there, unknown]})
    with api.nothing_changes():
        for answer in (await api.post(body), await batch(api, b'{"type": "echo"}', body)):
            assert unknown in check_problem(answer, 409, "unknown-predecessor")


async def test_a_job_that_will_never_start_says_so_in_the_answer(running_api: Api) -> None:
    """After a job that was cancelled it is accepted, and has failed by then, with the reason."""
    first = await running_api.submit("endless")
    await running_api.ask(f"/jobs/{first}/cancel", "POST")
    await trio.testing.wait_all_tasks_blocked()
    answer = await running_api.post(msgspec.json.encode({"type": "echo", "after": [first]}))
    assert (answer.status, answer.json["status"]) == (201, "failed")
    assert answer.json["error"] == f"job {first}, which it was to follow, was cancelled"
    job = await running_api.read_job(answer.json["id"])
    assert (job["status"], job["attempts"]) == ("failed", [])
    assert "waits_because" not in job
    assert "attempt" not in job


async def test_a_job_that_is_run_again_keeps_what_it_is_and_not_when_it_was(
    running_api: Api,
) -> None:
    """Its priority, unique key and retries are its own; its time and predecessors have passed."""
    first = await running_api.submit("echo")
    kept = {"priority": 2, "unique_key": "k", "max_retries": 7}
    old = await running_api.submit("echo", **kept, after=[first], delay_seconds=1_000)
    await running_api.ask(f"/jobs/{old}/cancel", "POST")
    again = await retry(running_api, old)
    assert (again.status, again.json["retry_of"]) == (201, old)
    assert {field: again.json[field] for field in kept} == kept
    await trio.testing.wait_all_tasks_blocked()
    job = await running_api.read_job(again.json["id"])
    assert job["status"] == "completed"
    assert not {"after", "run_at"} & set(job)


async def test_what_failed_with_another_can_be_run_again_by_itself(running_api: Api) -> None:
    """The person on call has put right what was wrong, and need not submit it all anew."""
    bad = await running_api.submit("endless")
    job = await running_api.submit("echo", 1, after=[bad])
    await trio.testing.wait_all_tasks_blocked()
    await running_api.ask(f"/jobs/{bad}/cancel", "POST")
    await trio.testing.wait_all_tasks_blocked()
    assert (await running_api.read_job(job))["status"] == "failed"
    again = await retry(running_api, job)
    await trio.testing.wait_all_tasks_blocked()
    assert (await running_api.read_job(again.json["id"]))["status"] == "completed"


async def test_a_job_whose_key_is_held_is_not_run_again(make_api: MakeApi) -> None:
    """Once means once: the answer is the job that holds the key."""
    api = make_api()
    old = await api.submit("echo", unique_key="k")
    await api.ask(f"/jobs/{old}/cancel", "POST")
    holder = await api.submit("echo", unique_key="k")
    answer = await retry(api, old)
    assert (answer.status, answer.json["id"], answer.json["duplicate"]) == (200, holder, True)
    assert answer.headers["Location"] == f"/jobs/{holder}"
    assert "retry_of" not in answer.json
    assert (await api.ask("/metrics")).json["jobs_created"] == 2


async def retry(api: Api, job_id: str) -> Answer:
    """`POST /jobs/{id}/retry`."""
    return await api.ask(f"/jobs/{job_id}/retry", "POST")


async def batch(api: Api, *lines: bytes) -> Answer:
    """`POST /jobs/batch` with these lines."""
    headers = {**JSON, "Content-Type": "application/x-ndjson"}
    return await api.ask("/jobs/batch", "POST", headers, b"\n".join(lines))


async def test_tags_are_kept_and_shown(running_api: Api) -> None:
    """In the answer, in the list, in all of the job, and by the job that runs it again."""
    tags = [*(f"tag {number}" for number in range(9)), "ä" * 64]
    answer = await running_api.post(
        msgspec.json.encode({"type": "echo", "tags": [*tags, tags[0]][:10]})
    )
    assert (answer.status, answer.json["tags"]) == (201, tags)
    job_id = answer.json["id"]
    await trio.testing.wait_all_tasks_blocked()
    again = await running_api.ask(f"/jobs/{job_id}/retry", "POST")
    assert again.json["tags"] == tags
    assert (await running_api.read_job(job_id))["tags"] == tags
    assert [job["tags"] for job in (await running_api.ask("/jobs")).json] == [tags, tags]


async def test_a_tag_that_is_given_twice_is_there_once(running_api: Api) -> None:
    """In a batch, too, where each job has its own."""
    body = b'{"type": "echo", "tags": ["b", "a", "b"]}'
    assert (await running_api.post(body)).json["tags"] == ["b", "a"]
    ids = (await batch(running_api, body, b'{"type": "echo", "tags": []}')).json["ids"]
    first, second = [await running_api.read_job(job_id) for job_id in ids]
    assert first["tags"] == ["b", "a"]
    assert "tags" not in second
