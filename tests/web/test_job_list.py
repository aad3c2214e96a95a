"""`GET /jobs`: which jobs it lists, in which order, and how to reach all of them."""

import re

import pytest
import trio

from job_service import Draft
from job_service.stores import memory
from tests.web.api import Answer, Api, check_problem
from tests.web.conftest import MakeApi


def next_page(answer: Answer) -> str | None:
    """Where the Link header says that the list goes on."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<(/jobs\?[^>]+)>; rel="next"', link)
    assert match is not None, link
    return match[1]


async def walk(api: Api, query: str) -> list[list[str]]:
    """The ids on every page, followed from link to link."""
    pages = []
    url: str | None = f"/jobs{query}"
    while url is not None:
        answer = await api.ask(url)
        assert answer.status == 200, answer
        pages.append([job["id"] for job in answer.json])
        url = next_page(answer)
    return pages


async def test_the_list_is_empty_before_the_first_job(api: Api) -> None:
    """Without jobs the list is [], and there is no next page."""
    answer = await api.ask("/jobs")
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.headers["Content-Type"] == "application/json"
    assert "Link" not in answer.headers


async def test_the_oldest_job_is_listed_first(api: Api) -> None:
    """Jobs are listed in the order of their submission, each as POST answered it."""
    answers = [await api.post(b'{"type": "echo"}') for _ in range(20)]
    assert (await api.ask("/jobs")).json == [answer.json for answer in answers]


async def test_jobs_are_filtered_by_status_and_type(running_api: Api) -> None:
    """?status= and ?type= list the jobs that have both, and no others."""
    echoes = [await running_api.submit("echo", n) for n in range(3)]
    failed = [await running_api.submit("flaky", 9, max_retries=0) for _ in range(2)]
    flaky = await running_api.submit("flaky", 0)
    await trio.testing.wait_all_tasks_blocked()
    endless = await running_api.submit("endless")
    await trio.testing.wait_all_tasks_blocked()

    assert await running_api.listed("?status=completed") == [*echoes, flaky]
    assert await running_api.listed("?status=failed") == failed
    assert await running_api.listed("?status=processing") == [endless]
    assert await running_api.listed("?status=pending") == []
    assert await running_api.listed("?type=flaky") == [*failed, flaky]
    assert await running_api.listed("?type=flaky&status=completed") == [flaky]


async def test_jobs_are_found_by_whatever_is_known_of_them(running_api: Api) -> None:
    """By several statuses and types, an id, a key, a tag, a time, an error, and all at once."""
    echo = await running_api.submit("echo", 1, tags=["urgent", "tenant: 4,2"], unique_key="a&b")
    flaky = await running_api.submit("flaky", 9, max_retries=0, tags=["urgent"])
    endless = await running_api.submit("endless", unique_key="a&b")
    await trio.testing.wait_all_tasks_blocked()

    assert await running_api.listed("?status=completed&status=failed") == [echo, flaky]
    assert await running_api.listed("?status=completed,failed") == [echo, flaky]
    assert await running_api.listed("?type=flaky&type=endless") == [flaky, endless]
    assert await running_api.listed(f"?id={echo}") == [echo]
    assert await running_api.listed(f"?id={flaky[-8:].upper()}") == [flaky]
    assert await running_api.listed("?unique_key=a%26b") == [echo, endless]
    assert await running_api.listed("?tag=urgent") == [echo, flaky]
    assert await running_api.listed("?tag=tenant%3A+4%2C2") == [echo]
    assert await running_api.listed("?error=ATTEMPT+1+fails") == [flaky]
    assert await running_api.listed("?error=%25") == []
    assert await running_api.listed("?created_before=2026-01-31T12:00:00Z") == []
    assert await running_api.listed("?created_after=2026-01-31T12:00:00%2B01:00&tag=urgent") == [
        echo,
        flaky,
    ]
    assert await running_api.listed("?tag=urgent&status=failed&type=flaky&error=fail") == [flaky]
    assert await running_api.listed("?tag=urgent&status=processing") == []


async def test_a_list_can_show_payloads_and_why_jobs_wait(running_api: Api) -> None:
    """In short, and only if it is asked to."""
    echo = await running_api.submit("echo", {"text": "x" * 300})
    later = await running_api.submit("echo", delay_seconds=90)
    await trio.testing.wait_all_tasks_blocked()
    plain = (await running_api.ask("/jobs")).json
    assert not any("payload_excerpt" in job or "waits_because" in job for job in plain)
    first, second = (await running_api.ask("/jobs?include=excerpts")).json
    assert (first["id"], first["payload_excerpt"]) == (echo, '{"text":"' + "x" * 191)
    assert "waits_because" not in first
    assert (second["payload_excerpt"], second["waits_because"]) == ("null", "due in 90 s")
    assert second["id"] == later
    check_problem(await running_api.ask("/jobs?include=result"), 400, "malformed")


async def test_a_page_that_is_hard_to_find_is_short(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it costs no more than others; the link says where to go on."""
    monkeypatch.setattr(memory, "LOOKS", 2)
    jobs = [await api.submit("echo", n, tags=["odd"] if n % 4 == 3 else None) for n in range(8)]
    assert await walk(api, "?tag=odd&status=pending&status=failed") == [
        *([], [jobs[3]], [], [jobs[7]], [])
    ]
    assert [job.id for job in await api.rig.queue.list(tag="odd")] == [jobs[3], jobs[7]]


async def test_a_list_is_of_a_hundred_types_at_most(api: Api) -> None:
    """So that what a page costs has a bound."""
    assert (await api.ask("/jobs?" + "type=echo&" * 99 + "type=echo")).status == 200
    detail = check_problem(await api.ask("/jobs?" + "type=echo&" * 101), 400, "malformed")
    assert "type must be" in detail


async def test_a_type_whose_handler_is_gone_has_a_list(api: Api) -> None:
    """And its jobs can be cancelled, for as long as they are kept."""
    (job,) = await api.rig.queue.submit_all([Draft("gone", b"null", 0)])
    assert await api.listed("?type=gone") == [job.id]
    answer = await api.ask("/jobs/cancel?type=gone", "POST")
    assert (answer.status, answer.json["cancelled"]) == (200, 1)
    assert await api.listed("?type=gone&status=cancelled") == [job.id]
    types = (await api.ask("/types")).json
    counts = dict.fromkeys(("pending", "processing", "completed", "failed", "abandoned"), 0)
    told = {"type": "gone", "paused": False, **counts, "cancelled": 1}
    assert [each for each in types if each["type"] == "gone"] == [told]


async def test_a_type_that_nobody_knows_has_no_list(api: Api) -> None:
    """A name that is misspelt would look like a type without jobs."""
    detail = check_problem(await api.ask("/jobs?type=ehco"), 400, "unknown-job-type")
    assert "'ehco'" in detail
    assert "echo" in detail


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 1_000])
async def test_following_the_links_reaches_every_job_once(api: Api, limit: int) -> None:
    """Pages of any size, followed through Link rel="next", hold every job once and in order."""
    jobs = [await api.submit("echo", n) for n in range(7)]
    pages = await walk(api, f"?limit={limit}")
    assert [job_id for page in pages for job_id in page] == jobs
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages) == -(-7 // limit)


@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_the_list_can_begin_with_the_newest(api: Api, limit: int) -> None:
    """With ?order=newest the links lead on to the oldest; ?order=oldest is as without."""
    jobs = [await api.submit("echo", n) for n in range(7)]
    pages = await walk(api, f"?order=newest&limit={limit}")
    assert [job_id for page in pages for job_id in page] == jobs[::-1]
    assert await api.listed("?order=oldest") == jobs


async def test_a_page_holds_100_jobs_where_nothing_else_is_asked(make_api: MakeApi) -> None:
    """Without ?limit= a page has 100 jobs, and the link leads to the rest."""
    api = make_api(queue_capacity=101)
    jobs = [await api.submit("echo", n) for n in range(101)]
    assert await walk(api, "") == [jobs[:100], jobs[100:]]


async def test_the_links_keep_the_filters(api: Api) -> None:
    """The next page is filtered as the first one was, whatever was asked for."""
    jobs = [await api.submit(("echo", "endless")[n % 2]) for n in range(6)]
    assert await walk(api, "?type=endless&status=pending&limit=1") == [[j] for j in jobs[1::2]]
    both = "?type=endless&type=echo&status=pending&status=failed&limit=1"
    assert await walk(api, both) == [[job] for job in jobs]


async def test_a_walk_misses_no_job_that_stays_while_others_come_and_go(make_api: MakeApi) -> None:
    """Between two pages a job may come or be forgotten: the others are still listed once."""
    api = make_api(retain=0)
    jobs = [await api.submit("echo", n) for n in range(6)]
    first = await api.ask("/jobs?limit=2")
    await api.rig.queue.cancel(jobs[1])  # which the cursor names; retain=0 forgets it at once
    await api.rig.queue.cancel(jobs[3])
    newest = await api.submit("echo")
    url = next_page(first)
    assert url is not None
    assert (await api.ask(f"/jobs/{jobs[1]}")).status == 404
    rest = await walk(api, url.removeprefix("/jobs"))
    assert [job_id for page in rest for job_id in page] == [jobs[2], jobs[4], jobs[5], newest]
