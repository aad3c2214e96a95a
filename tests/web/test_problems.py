"""What a client is told that asks for what there is not: in our words, and those of RFC 9110."""

import pytest

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
