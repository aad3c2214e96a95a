"""Conditional requests: nothing is sent twice, and nothing is done to what has changed."""

from itertools import product

import pytest
import trio
from werkzeug.datastructures import Headers

from tests.web.api import Answer, Api, check_problem
from tests.web.conftest import MakeApi, Serve


async def get(api: Api, path: str, **headers: str) -> Answer:
    """GET with headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.ask(path, headers=named)


@pytest.fixture(params=["/jobs", "/jobs/{id}", "/jobs/{id}?wait=0"])
async def path(request: pytest.FixtureRequest, api: Api) -> str:
    """What can be asked for on condition."""
    job_id = await api.submit("echo", 1)
    return str(request.param).format(id=job_id)


async def test_what_a_client_has_is_not_sent_again(api: Api, path: str) -> None:
    """304 without a body, with the same ETag, until something has changed."""
    first = await get(api, path)
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    again = await get(api, path, If_None_Match=tag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    await api.rig.start()
    await trio.testing.wait_all_tasks_blocked()
    changed = await get(api, path, If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag
    assert changed.json != first.json


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', '{} , W/"other"', "*", 'W/"a,b",{}'])
async def test_if_none_match_may_be_weak_a_list_or_a_star(api: Api, path: str, form: str) -> None:
    """As RFC 9110, section 13.1.2, has it: comparison is weak."""
    tag = (await get(api, path)).headers["ETag"]
    assert (await get(api, path, If_None_Match=form.format(tag))).status == 304


@pytest.mark.parametrize("tag", ['"other"', 'W/"other"', '"*"', ""])
async def test_another_tag_does_not_match(api: Api, path: str, tag: str) -> None:
    """The whole answer is sent."""
    assert (await get(api, path, If_None_Match=tag)).status == 200


WITH_ETAG = ["/", "/dashboard/app.js", "/openapi.json", "/docs", "/jobs", "/jobs?limit=1"]
NO_DATES = [
    *("Mon, 01 Jan 99999999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +99999999999999"),
    *("Mon, 01 Jan 2024 99999999999999:00:00 GMT", "Mon, 01 Jan 0000 00:00:00 GMT", "", "\xff"),
    *("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 5_000),
]


@pytest.mark.parametrize("header", ["If-Modified-Since", "If-Unmodified-Since", "If-Range", "Date"])
async def test_nothing_has_a_date_to_compare_with(api: Api, header: str) -> None:
    """A condition on a date is none, whatever the date looks like: the whole answer is sent."""
    for path, date in product(WITH_ETAG, NO_DATES):
        answer = await api.ask(path, headers={header: date, "Range": "bytes=0-0"})
        assert answer.status == 200, (path, date)
        assert len(answer.body) == int(answer.headers["Content-Length"]) > 1, (path, date)
        assert "Last-Modified" not in answer.headers


async def test_an_answer_is_always_whole(api: Api) -> None:
    """A server may ignore Range (RFC 9110, section 14.2), in whatever form."""
    for path in WITH_ETAG:
        whole = await api.ask(path)
        for ranges in ("bytes=0-0", "bytes=9-1", "bytes=-1", "bytes=", "x=1", "0" * 99):
            assert (await api.ask(path, headers={"Range": ranges})).body == whole.body, ranges


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_wants_another_version_gets_none(api: Api, method: str) -> None:
    """412 as a problem, and never with the page beside it."""
    paths = *WITH_ETAG, f"/jobs/{await api.submit('echo')}"
    others = '"another"', 'W/"another"', "", ",", "nonsense", '"*"'
    for path, wanted in product(paths, others):
        answer = await api.ask(path, method, {"If-Match": wanted})
        assert answer.status == 412, (path, wanted)
        assert answer.headers["Content-Type"] == "application/problem+json"
        if method == "GET":
            check_problem(answer, 412)


@pytest.mark.slow
async def test_who_wants_the_version_that_it_is_gets_it(api: Api) -> None:
    """Alone, in a list, in lists of several lines, and as a star."""
    job_id = await api.submit("echo")
    for path in (*WITH_ETAG, f"/jobs/{job_id}"):
        tag = (await api.ask(path)).headers["ETag"]
        for wanted in (tag, f'"other", {tag}', "*"):
            assert (await api.ask(path, headers={"If-Match": wanted})).status == 200
        for header, status in (("If-Match", 200), ("If-None-Match", 304)):
            lines = Headers([(header, '"other"'), (header, tag)])
            assert (await api.ask(path, headers=lines)).status == status


async def test_the_etag_of_a_job_costs_nothing_for_its_payload(running_api: Api) -> None:
    """A client that has the job already need not wait until it is encoded; another job differs."""
    first, second = [await running_api.submit("echo", "x" * 500_000) for _ in range(2)]
    await trio.testing.wait_all_tasks_blocked()
    answers = [await running_api.ask(f"/jobs/{job_id}") for job_id in (first, second)]
    tags = [answer.headers["ETag"] for answer in answers]
    assert tags[0] != tags[1]
    assert all(len(answer.json["payload"]) == 500_000 for answer in answers)
    again = await running_api.ask(f"/jobs/{first}", headers={"If-None-Match": tags[0]})
    assert (again.status, again.body) == (304, b"")


async def test_an_answer_without_content_says_nothing_of_content(api: Api, serve: Serve) -> None:
    """A 304 has no length and no type of its own, and the connection goes on."""
    served = await serve(api.app)
    async with served.connect() as wire:
        tag = (await wire.ask("/jobs")).headers["ETag"]
        answer = await wire.ask("/jobs", f"If-None-Match: {tag}")
        assert (answer.status, answer.headers["ETag"]) == (304, tag)
        assert not [name for name, _ in answer.headers if name.lower().startswith("content-")]
        assert (await wire.ask("/jobs")).body == b"[]"


async def test_a_full_page_changes_when_another_follows_it(make_api: MakeApi) -> None:
    """The link to the next page is part of what the ETag stands for."""
    api = make_api()
    for _ in range(2):
        await api.submit("echo")
    first = await get(api, "/jobs?limit=2")
    await api.submit("echo")
    second = await get(api, "/jobs?limit=2", If_None_Match=first.headers["ETag"])
    assert (second.status, second.json) == (200, first.json)
    third = await get(api, "/jobs?limit=2", If_None_Match=second.headers["ETag"])
    assert (third.status, third.headers["Link"]) == (304, second.headers["Link"])


async def test_an_unknown_job_is_unknown_on_any_condition(api: Api) -> None:
    """A condition is about what is there."""
    check_problem(await get(api, "/jobs/nobody", If_None_Match="*"), 404, "unknown-job")
    for action in ("cancel", "retry"):
        answer = await api.ask(f"/jobs/nobody/{action}", "POST", {"If-Match": "*"})
        check_problem(answer, 404, "unknown-job")


@pytest.mark.parametrize("form", ["{}", '"other", {}', "*"])
@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_an_action_is_done_to_what_has_not_changed(
    running_api: Api, action: str, form: str
) -> None:
    """The ETag of GET /jobs/{id} still holds, so that the client knows what it does."""
    job_id = await running_api.submit("endless" if action == "cancel" else "echo")
    await trio.testing.wait_all_tasks_blocked()
    tag = (await get(running_api, f"/jobs/{job_id}")).headers["ETag"]
    headers = {"If-Match": form.format(tag)}
    answer = await running_api.ask(f"/jobs/{job_id}/{action}", "POST", headers)
    assert answer.status in (200, 201)


@pytest.mark.parametrize("form", ['"other"', "W/{}", "", ","])
@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_an_action_is_not_done_to_what_has_changed(
    running_api: Api, action: str, form: str
) -> None:
    """412: comparison is strong here, and what names no tag matches none."""
    job_id = await running_api.submit("endless" if action == "cancel" else "echo")
    await trio.testing.wait_all_tasks_blocked()
    tag = (await get(running_api, f"/jobs/{job_id}")).headers["ETag"]
    with running_api.nothing_changes():
        headers = {"If-Match": form.format(tag)}
        check_problem(await running_api.ask(f"/jobs/{job_id}/{action}", "POST", headers), 412)


async def test_a_job_that_has_got_on_is_not_cancelled(api: Api) -> None:
    """The client has seen it waiting; by now it runs."""
    job_id = await api.submit("endless")
    tag = (await get(api, f"/jobs/{job_id}")).headers["ETag"]
    await api.rig.start()
    await trio.testing.wait_all_tasks_blocked()
    check_problem(await api.ask(f"/jobs/{job_id}/cancel", "POST", {"If-Match": tag}), 412)
    assert (await api.read_job(job_id))["status"] == "processing"


async def test_of_several_with_the_same_tag_one_changes_the_job(api: Api) -> None:
    """The others have not seen what it did, and are told so, however close together they come."""
    job_id = await api.submit("echo")
    tag = (await get(api, f"/jobs/{job_id}")).headers["ETag"]
    headers = {"If-Match": tag, "Content-Type": "application/json"}
    statuses = list[int]()

    async def edit(priority: int) -> None:
        body = b'{"priority":%d}' % priority
        statuses.append((await api.ask(f"/jobs/{job_id}", "PATCH", headers, body)).status)

    async with trio.open_nursery() as nursery:
        for priority in range(4):
            nursery.start_soon(edit, priority)
    assert sorted(statuses) == [200, 412, 412, 412]


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_what_can_not_be_done_anyway_is_told_first(running_api: Api, action: str) -> None:
    """RFC 9110, section 13.2.1: a condition counts only if the call would succeed without it."""
    job_id = await running_api.submit("echo" if action == "cancel" else "endless")
    await trio.testing.wait_all_tasks_blocked()
    with running_api.nothing_changes():
        answer = await running_api.ask(f"/jobs/{job_id}/{action}", "POST", {"If-Match": '"other"'})
    assert answer.status == 409


async def test_what_others_keep_a_job_from_is_no_change_of_its_own(api: Api) -> None:
    """Its ETag moves when the line before it does, but it can still be cancelled on the old one."""
    first, second = await api.submit("echo"), await api.submit("echo")
    seen = await get(api, f"/jobs/{second}")
    await api.rig.queue.cancel(first)
    now = await get(api, f"/jobs/{second}", If_None_Match=seen.headers["ETag"])
    assert (now.status, now.json["waits_because"]) == (200, "waits for a free worker")
    tag = seen.headers["ETag"]
    answer = await api.ask(f"/jobs/{second}/cancel", method="POST", headers={"If-Match": tag})
    assert answer.json["status"] == "cancelled"
