"""What is misspelt in a query is told, and never taken for a wish for everything."""

import pytest

from tests.web.api import JSON, Api, check_problem

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
EVERY_CALL = [
    *(("POST", "/jobs"), ("POST", "/jobs/batch"), ("POST", "/jobs/cancel"), ("GET", "/jobs")),
    *(("GET", f"/jobs/{JOB}"), ("POST", f"/jobs/{JOB}/cancel"), ("POST", f"/jobs/{JOB}/retry")),
    *(("GET", "/events"), ("GET", "/queue"), ("POST", "/queue/pause"), ("POST", "/queue/resume")),
    *(("GET", "/types"), ("GET", "/workers"), ("GET", "/schedules"), ("GET", "/metrics")),
    *(("GET", "/health"), ("GET", "/health/ready"), ("GET", "/openapi.json"), ("GET", "/docs")),
    ("GET", "/dashboard/app.js"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
@pytest.mark.parametrize("query", ["typ=echo", "Type=echo", "verbose", "=", "%00=1", "type =echo"])
async def test_an_unknown_parameter_is_refused(
    api: Api, method: str, path: str, query: str
) -> None:
    """By every call, before it does anything."""
    with api.nothing_changes():
        answer = await api.ask(f"{path}?{query}", method, JSON, b'{"type": "echo"}')
    assert check_problem(answer, 400, "malformed").startswith("unknown query parameter '")
    if method == "GET":
        assert (await api.ask(f"{path}?{query}", "HEAD")).status == 400


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("POST", "/queue/pause?typ=echo", "unknown query parameter 'typ'; known: type"),
        ("POST", "/jobs?x=1&y=2", "unknown query parameter 'x'; known: wait"),
        (
            *("GET", "/jobs?state=failed&limit=ten"),
            (
                "unknown query parameter 'state'; known: status, type, id, unique_key, tag, "
                "group, created_after, created_before, error, order, include, limit, cursor"
            ),
        ),
        ("GET", "/jobs?limit=5&limit=5", "query parameter 'limit' is given more than once"),
        ("GET", "/jobs?limit=5&limit=6", "query parameter 'limit' is given more than once"),
        (
            *("POST", "/queue/pause?type=echo&type=email"),
            "query parameter 'type' is given more than once",
        ),
        (
            *("GET", f"/metrics?{'x' * 1000}"),
            f"unknown query parameter '{'x' * 100}…'; this call takes none",
        ),
    ],
)
async def test_it_is_told_what_would_be_known(
    api: Api, method: str, path: str, detail: str
) -> None:
    """In one sentence, of bounded length."""
    assert check_problem(await api.ask(path, method), 400, "malformed") == detail


async def test_the_queue_is_not_paused_by_mistake(running_api: Api) -> None:
    """Else one letter too few would hold up everybody's jobs."""
    assert (await running_api.ask("/queue/pause?typ=echo", "POST")).status == 400
    assert (await running_api.ask("/queue/pause?type=echo&type=email", "POST")).status == 400
    queue = (await running_api.ask("/queue")).json
    assert queue["paused"] is False
    assert queue["paused_types"] == []


@pytest.mark.parametrize("path", ["/?utm_source=chat", "/?#", "/jobs?", "/jobs?&&", "/metrics?"])
async def test_what_asks_for_nothing_is_no_mistake(api: Api, path: str) -> None:
    """The dashboard may be opened with whatever a pasted link has, and an empty query is none."""
    assert (await api.ask(path)).status == 200


async def test_where_there_is_no_call_there_is_no_query(api: Api) -> None:
    """An unknown path and a method that it does not take are told first."""
    assert (await api.ask("/nowhere?x=1")).status == 404
    assert (await api.ask("/jobs?x=1", "PUT")).status == 405
    assert (await api.ask("/jobs?x=1", "OPTIONS")).status == 200
