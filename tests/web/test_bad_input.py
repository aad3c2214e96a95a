"""Whatever is wrong with a request, the client is told as a problem, and nothing changes."""

import pytest
from werkzeug.datastructures import Headers

from job_service.nesting import MAX_DEPTH
from job_service.web.submissions import MAX_JOB_BYTES
from tests.web.api import JSON, Answer, Api, check_problem

TOO_DEEP = 100_000


def nested(levels: int) -> bytes:
    """An array in an array in an array."""
    return b"[" * levels + b"]" * levels


MALFORMED = {
    "empty": b"",
    "blank": b"  \n",
    "no JSON": b"hello",
    "truncated": b'{"type": "echo", "payload": {"n": 1',
    "truncated in a string": b'{"type": "ec',
    "two values": b'{"type": "echo"}{"type": "echo"}',
    "trailing comma": b'{"type": "echo",}',
    "single quotes": b"{'type': 'echo'}",
    "NaN": b'{"type": "echo", "payload": NaN}',
    "byte order mark": b'\xef\xbb\xbf{"type": "echo"}',
    "UTF-16": '{"type": "echo"}'.encode("utf-16"),
    "type not in UTF-8": b'{"type": "ech\xff"}',
    "field not in UTF-8": b'{"type": "echo", "\xff": 1}',
    "type with half a surrogate pair": b'{"type": "\\ud800"}',
    "payload with half a surrogate pair": b'{"type": "echo", "payload": "\\ud800"}',
    "body nested deeply": nested(TOO_DEEP),
    "body nested deeply and truncated": b'{"type":' * TOO_DEEP,
    "type nested deeply": b'{"type": ' + nested(TOO_DEEP) + b"}",
    "payload nested deeply": b'{"type": "echo", "payload": ' + nested(TOO_DEEP) + b"}",
    "unknown field nested deeply": b'{"type": "echo", "more": ' + nested(TOO_DEEP) + b"}",
    "array": b"[]",
    "array of jobs": b'[{"type": "echo"}]',
    "string": b'"echo"',
    "number": b"7",
    "null": b"null",
    "no type": b'{"payload": 1}',
    "type is null": b'{"type": null}',
    "type is a number": b'{"type": 7}',
    "type is an array": b'{"type": ["echo"]}',
    "unknown field": b'{"type": "echo", "priorty": 1}',
    "max_retries below 0": b'{"type": "echo", "max_retries": -1}',
    "max_retries above its limit": b'{"type": "echo", "max_retries": 1001}',
    "max_retries beyond 64 bits": b'{"type": "echo", "max_retries": 36893488147419103232}',
    "max_retries of 5000 digits": b'{"type": "echo", "max_retries": ' + b"1" * 5000 + b"}",
    "max_retries is true": b'{"type": "echo", "max_retries": true}',
    "max_retries is a float": b'{"type": "echo", "max_retries": 1.5}',
    "max_retries is barely a float": b'{"type": "echo", "max_retries": 1.0000001}',
    "max_retries is a string": b'{"type": "echo", "max_retries": "3"}',
}

UNFIT_PAYLOADS = {
    "a field is missing": b'{"type": "email", "payload": {}}',
    "a field has another type": b'{"type": "email", "payload": {"to": 7}}',
    "null": b'{"type": "email", "payload": null}',
    "left out": b'{"type": "email"}',
    "an array": b'{"type": "email", "payload": [1, 2]}',
    "a string for a number": b'{"type": "flaky", "payload": "1"}',
    "something for a type that takes nothing": b'{"type": "endless", "payload": {}}',
    "beyond a float": b'{"type": "echo", "payload": 1e999}',
}

# GET /jobs/{id} would repeat such a payload as it is, also what its handler's type does not name.
PAYLOADS_NOT_IN_UTF_8 = {
    "a value": b'{"type": "echo", "payload": "\xff"}',
    "a key": b'{"type": "echo", "payload": {"\xff": 1}}',
    "cut in a character": b'{"type": "echo", "payload": "\xe2\x82"}',
    "a surrogate": b'{"type": "echo", "payload": "\xed\xa0\x80"}',
    "an unread value": b'{"type": "email", "payload": {"to": "a", "more": "\xff"}}',
    "an unread key": b'{"type": "email", "payload": {"to": "a", "\xff": 1}}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_body_that_is_no_job_is_refused(api: Api, body: bytes) -> None:
    """A body that is no JSON, or no submission, gets 400 and leaves no trace."""
    with api.nothing_changes():
        check_problem(await api.post(body), 400, "malformed")


@pytest.mark.parametrize(
    "text", [rb"\ud800", rb"\\\ud800", rb"\ud83d\ude00\udE00\n", rb"\udbff\u0041"]
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", b'{"type": "echo", "payload": "%b"}'),
        ("/jobs", b'{"type": "echo", "payload": {"%b": 1}}'),
        ("/jobs", b'{"type": "%b"}'),
        ("/jobs/batch", b'[{"type": "echo", "payload": "%b"}]'),
        ("/groups", b'{"jobs": [{"type": "echo", "payload": "%b"}]}'),
    ],
)
async def test_half_a_character_is_told_as_such(
    api: Api, path: str, body: bytes, text: bytes
) -> None:
    """And not as a body that was cut off, or an escape that is malformed."""
    answer = await api.ask(path, "POST", JSON, body % text)
    check_problem(answer, 400, "malformed")
    assert b"is half of a surrogate pair, and no character" in answer.body
    whole = await api.ask(path, "POST", JSON, body % rb"\\ud800 \ud83d\ude00")
    assert b"surrogate" not in whole.body


@pytest.mark.slow
@pytest.mark.parametrize("body", UNFIT_PAYLOADS.values(), ids=UNFIT_PAYLOADS.keys())
async def test_a_payload_that_its_handler_can_not_take_is_refused(api: Api, body: bytes) -> None:
    """A bad payload is the submitter's 400, and never a failed job."""
    with api.nothing_changes():
        check_problem(await api.post(body), 400, "invalid-payload")


@pytest.mark.parametrize("body", PAYLOADS_NOT_IN_UTF_8.values(), ids=PAYLOADS_NOT_IN_UTF_8.keys())
async def test_no_part_of_a_payload_may_be_other_than_utf_8(api: Api, body: bytes) -> None:
    """A payload that is not UTF-8 gets 400, even if its handler would never look at it."""
    with api.nothing_changes():
        answer = await api.post(body)
        kind = "malformed" if b"malformed" in answer.body else "invalid-payload"
        check_problem(answer, 400, kind)


@pytest.mark.parametrize("submit", [b"%b", b'{"type": "echo"}\n%b\n'], ids=["job", "batch"])
async def test_a_payload_may_be_nested_just_so_deep(api: Api, submit: bytes) -> None:
    """Up to the limit it is taken, and one level more is refused, on every Python."""
    path = "/jobs" if submit == b"%b" else "/jobs/batch"
    kind = "application/json" if path == "/jobs" else "application/x-ndjson"

    async def ask(levels: int) -> Answer:
        body = submit % b'{"type": "echo", "payload": %b}' % nested(levels)
        return await api.ask(path, "POST", {"Content-Type": kind}, body)

    assert (await ask(MAX_DEPTH)).status == 201
    with api.nothing_changes():
        detail = check_problem(await ask(MAX_DEPTH + 1), 400, "malformed")
    assert f"nested more than {MAX_DEPTH} deep" in detail


async def test_the_detail_says_where_the_mistake_is(api: Api) -> None:
    """The problem names the field that is wrong and what was expected of it."""
    answer = await api.post(b'{"type": "email", "payload": {"to": 7}}')
    detail = check_problem(answer, 400, "invalid-payload")
    assert "`str`" in detail
    assert "$.to" in detail


@pytest.mark.parametrize("name", ["", "Echo", "echo ", "nobody_knows", "\0", "x" * 100_000])
async def test_an_unknown_type_is_refused_and_the_known_ones_are_named(api: Api, name: str) -> None:
    """Who asks for a type that is not there learns which types are."""
    with api.nothing_changes():
        answer = await api.post(b'{"type": "%s"}' % name.replace("\0", "\\u0000").encode())
        assert "echo, email, endless, flaky" in check_problem(answer, 400, "unknown-job-type")


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"],
)
async def test_a_body_that_is_not_said_to_be_json_is_refused(
    api: Api, content_type: str | None
) -> None:
    """Another content type, or none, gets 415, and the detail says which one is wanted."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    with api.nothing_changes():
        answer = await api.ask("/jobs", "POST", headers, b'{"type": "echo"}')
        assert "application/json" in check_problem(answer, 415)


@pytest.mark.parametrize(
    "codings",
    [["gzip"], ["GZIP"], ["br"], ["x-unknown"], ["identity, gzip"], ["identity", "deflate"]],
    ids=repr,
)
@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/jobs", "application/json"), ("/jobs/batch", "application/x-ndjson")],
)
async def test_a_body_that_is_compressed_is_refused(
    api: Api, path: str, content_type: str, codings: list[str]
) -> None:
    """Or said to be: 415, and Accept-Encoding says how it may come (RFC 9110, section 15.5.16)."""
    headers = Headers([("Content-Type", content_type)])
    for coding in codings:
        headers.add("Content-Encoding", coding)
    with api.nothing_changes():
        answer = await api.ask(path, "POST", headers, b'{"type": "echo"}')
        assert "Content-Encoding" in check_problem(answer, 415)
        assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["", "identity", "Identity", "identity, identity"])
async def test_a_body_may_be_said_to_be_as_it_is(api: Api, coding: str) -> None:
    """That is what `identity` says."""
    headers = {**JSON, "Content-Encoding": coding}
    assert (await api.ask("/jobs", "POST", headers, b'{"type": "echo"}')).status == 201


@pytest.mark.parametrize("length", [MAX_JOB_BYTES + 1, 10**12])
async def test_a_body_that_is_announced_too_large_is_refused_unread(api: Api, length: int) -> None:
    """A Content-Length above 1 MiB gets 413 before the body has come."""
    with api.nothing_changes():
        headers = {**JSON, "Content-Length": str(length)}
        check_problem(await api.ask_in_pieces("/jobs", headers, complete=False), 413)


async def test_a_body_that_grows_too_large_is_refused(api: Api) -> None:
    """A chunked body gets 413 as soon as more than 1 MiB of it has come."""
    with api.nothing_changes():
        headers = {**JSON, "Transfer-Encoding": "chunked"}
        pieces = [b'{"type": "echo", "payload": "', b"x" * MAX_JOB_BYTES, b'"}']
        check_problem(await api.ask_in_pieces("/jobs", headers, *pieces), 413)


async def test_a_body_of_just_1_mib_is_taken(api: Api) -> None:
    """The bound is 1 MiB and not a byte less, however the body comes."""
    start, end = b'{"type": "echo", "payload": "', b'"}'
    body = start + b"x" * (MAX_JOB_BYTES - len(start) - len(end)) + end
    announced = {**JSON, "Content-Length": str(len(body))}
    assert (await api.ask_in_pieces("/jobs", announced, body)).status == 201
    chunked = {**JSON, "Transfer-Encoding": "chunked"}
    half = len(body) // 2
    assert (await api.ask_in_pieces("/jobs", chunked, body[:half], body[half:])).status == 201


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("BREW", "/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/metrics", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/health/ready", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_refused_and_the_right_ones_are_named(
    api: Api, method: str, path: str, allowed: set[str]
) -> None:
    """A method that a path does not have gets 405 and an Allow header with those it has."""
    with api.nothing_changes():
        answer = await api.ask(path, method, JSON, b'{"type": "echo"}')
        check_problem(answer, 405)
        assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    ["/dashboard", "/job", "/jobs/", "/jobs/a/b", "/Jobs", "/favicon.ico", "/static/x", "/jobs/a/"],
)
async def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    """A path that is not there gets 404 as a problem, too."""
    with api.nothing_changes():
        check_problem(await api.ask(path), 404)


async def test_a_path_with_doubled_slashes_is_not_answered_in_html(api: Api) -> None:
    """A path that a client glued together wrongly is a problem like any other unknown one."""
    with api.nothing_changes():
        check_problem(await api.ask("/jobs//01890000-0000-7000-8000-000000000000"), 404)


@pytest.mark.parametrize(
    "job_id", ["01890000-0000-7000-8000-000000000000", "1", "%FF", "%00", "..", "x" * 5000, "💥"]
)
async def test_an_unknown_id_is_not_found(api: Api, job_id: str) -> None:
    """An id that no job has, or that none could have, gets 404."""
    with api.nothing_changes():
        check_problem(await api.ask(f"/jobs/{job_id}"), 404, "unknown-job")


@pytest.mark.parametrize(
    "query",
    [
        *("status=", "status=done", "status=Pending", "status=pending,ended"),
        *("id=", f"id={'a' * 37}", "unique_key=", f"unique_key={'k' * 256}", "tag="),
        *(f"tag={'t' * 65}", "error=", f"error={'e' * 201}", "created_after=", "created_after=now"),
        *("created_after=2026-01-31", "created_before=2026-01-31T12:00:00", "created_before=0"),
        *("limit=", "limit=0", "limit=-1", "limit=1001", "limit=1e2", "limit=1.0", "limit=ten"),
        *("limit=%C2%B2", "limit=%D9%A1", "limit=%2B5", "limit=+5", "limit=1_0"),
        *("cursor=", "cursor=7", "cursor=%FF", "cursor=01890000-0000-7000-8000-00000000000"),
        *("order=", "order=Newest", "order=created_at", f"limit={10**30}", "limit=nan"),
        *(f"cursor={'%D9%A1' * 32}", f"cursor={'0_' * 15}00", f"cursor=%20{'0' * 31}"),
    ],
)
async def test_a_bad_query_parameter_is_refused(api: Api, query: str) -> None:
    """A parameter that can't be what was meant gets 400, and the detail names it."""
    with api.nothing_changes():
        detail = check_problem(await api.ask(f"/jobs?{query}"), 400, "malformed")
        assert query.partition("=")[0] in detail


@pytest.mark.parametrize("limit", ["0000109999", "000001" + "9" * 20, "000001" + "9" * 5000])
async def test_leading_zeros_do_not_lift_the_limit(api: Api, limit: str) -> None:
    """A page has a largest size, in whatever way its number is written."""
    with api.nothing_changes():
        check_problem(await api.ask(f"/jobs?limit={limit}"), 400, "malformed")


@pytest.mark.parametrize("spelling", ["upper", "bare", "braces", "urn"])
async def test_a_cursor_in_another_spelling_leads_to_no_other_page(api: Api, spelling: str) -> None:
    """A cursor that is not spelled as it was given is refused, or means the same."""
    jobs = [await api.submit("echo", n) for n in range(3)]
    spelled = {
        "upper": jobs[0].upper(),
        "bare": jobs[0].replace("-", ""),
        "braces": f"%7B{jobs[0]}%7D",
        "urn": f"urn:uuid:{jobs[0]}",
    }[spelling]
    answer = await api.ask(f"/jobs?cursor={spelled}")
    assert answer.status == 400 or [job["id"] for job in answer.json] == jobs[1:]
