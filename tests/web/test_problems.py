"""What a client is told that asks for what there is not: in our words, and those of RFC 9110."""

from http import HTTPStatus
from urllib.parse import quote

import msgspec
import pytest

from job_service.web.problems import problem_json
from job_service.web.submissions import MAX_JOB_BYTES
from tests.web.api import JSON, Api, check_problem
from tests.web.conftest import Serve
from tests.web.wire import Stage


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/", "/Jobs", "/jobs/1/cancel/now"])
async def test_an_unknown_path_is_told_where_to_look(api: Api, path: str) -> None:
    """There is no address bar to look at, but there is a page that has all paths."""
    answer = await api.ask(path)
    assert check_problem(answer, 404) == "there is no such path; see /docs"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/jobs", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/metrics", "GET, HEAD, OPTIONS"),
        ("GET", "/jobs/cancel", "OPTIONS, POST"),
    ],
)
async def test_a_method_of_no_use_is_told_those_that_are(
    api: Api, method: str, path: str, allowed: str
) -> None:
    """In the text as in the header."""
    answer = await api.ask(path, method)
    assert check_problem(answer, 405) == f"this path takes only {allowed}"
    assert answer.headers["Allow"] == allowed


async def test_the_title_is_the_name_that_the_status_has_now(api: Api) -> None:
    """RFC 9110 has given some of them new ones."""
    answer = await api.ask("/jobs", "POST", JSON, bytes(MAX_JOB_BYTES + 1))
    check_problem(answer, 413)
    assert answer.json["title"] == "Content Too Large"


async def test_a_connection_too_many_is_told_how_many_there_may_be(serve: Serve) -> None:
    """So that nobody looks for the mistake on the client's side."""
    served = await serve(Stage(), max_connections=2)
    async with served.connect() as first, served.connect() as second:
        for wire in (first, second):
            assert (await wire.ask("/hello")).status == 200
        async with served.connect() as late:
            detail = check_problem(await late.answer(), 503)
    assert detail == "too many connections: all 2 are in use"


HARMFUL = [
    "\x00",
    "\n",
    "\x1b[2J",
    "\x7f",
    "\x9b",
    "\u202e",
    "\u2066",
    "\u200f",
    "\u2028",
    "\ufeff",
    "\ud800",
]


@pytest.mark.parametrize("text", HARMFUL, ids=ascii)
async def test_what_is_repeated_of_a_request_can_do_nothing_to_a_terminal(text: str) -> None:
    """Controls, what turns the direction of writing, and half characters are escaped."""
    shown = msgspec.json.decode(problem_json(HTTPStatus.BAD_REQUEST, f"not a {text} job"))["detail"]
    assert text not in shown
    assert all(character.isprintable() for character in shown)
    assert ascii(text)[1:-1] in shown


@pytest.mark.parametrize("text", ["\x7f", "\x9b", "\u202e", "x" * 10_000])
async def test_an_id_that_is_none_is_repeated_safely(api: Api, text: str) -> None:
    """And not at any length."""
    answer = await api.ask(f"/jobs/{quote(text)}")
    check_problem(answer, 404, "unknown-job")
    assert text.encode() not in answer.body
    assert len(answer.body) < 3_000


@pytest.mark.parametrize(
    "path", ["/jobs/", "//jobs", "/jobs//batch", "/jobs/batch/", "/./jobs", "//"]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_nobody_is_sent_elsewhere(api: Api, method: str, path: str) -> None:
    """A path is what it is or unknown: no client is redirected, and no job made by accident."""
    with api.nothing_changes():
        check_problem(await api.ask(path, method, JSON, b'{"type": "echo"}'), 404)


@pytest.mark.parametrize("method", ["post", "Post", "get", "pOST"])
async def test_a_method_is_known_by_its_exact_name(api: Api, method: str) -> None:
    """RFC 9110, section 9.1: methods are case-sensitive."""
    scope = {"method": method}
    response = await api.client.open(
        "/jobs", method=method, headers=JSON, data=b'{"type": "echo"}', scope_base=scope
    )
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert api.counters()["jobs_created"] == 0
