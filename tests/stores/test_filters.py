"""Jobs are found by whatever is known of them, in each store alike, and at a bounded cost."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import pytest

from job_service import Draft
from job_service.jobs.state.detail import EXCERPT_CHARS, JobSummary
from job_service.jobs.state.job_filter import JobFilter
from job_service.stores import memory
from job_service.stores.postgres import listing as postgres
from job_service.stores.sqlite import listing as sqlite
from tests.stores.workshop import How, MakeWorkshop, Workshop

ENDS: tuple[How | None, ...] = (None, "complete", "fail", "retry", "cancel", "complete")


async def several(shop: Workshop) -> list[JobSummary]:
    """Jobs of three types, in many states, some with keys and tags; the oldest first."""
    for number in range(24):
        if number % 4 == 0:
            time.sleep(0.002)  # noqa: ASYNC251 (ids, by which time is told, have milliseconds)
        (job,) = await shop.submit(
            Draft(
                ("email", "letter", "email", "email", "letter")[number % 5],
                b"{}",
                3,
                unique_key=f"key-{number % 2}" if number % 5 == 1 else None,
                tags=("urgent", f"tenant:{number % 3}") if number % 2 else (),
            )
        )
        how = ENDS[number % len(ENDS)]
        if how is not None and not job.duplicate:
            await shop.run_and_forget(job.id, how)
    await shop.start(await shop.new(tags=("urgent",)))
    return await shop.everything()


async def found(
    shop: Workshop, wanted: JobFilter, *, limit: int = 5, newest_first: bool = False
) -> list[str]:
    """The ids on all pages, one after the other."""
    ids: list[str] = []
    after: str | None = None
    while True:
        page = await shop.store.page(wanted, after=after, limit=limit, newest_first=newest_first)
        ids += [job.id for job in page.jobs]
        assert len(page.jobs) <= limit
        if page.next is None:
            return ids
        assert after is None or (page.next < after if newest_first else page.next > after)
        after = page.next


Ask = Callable[[list[JobSummary]], JobFilter]

FILTERS: dict[str, Ask] = {
    "nothing": lambda _: JobFilter(),
    "several statuses": lambda _: JobFilter(statuses=("failed", "pending")),
    "ended in any way": lambda _: JobFilter(statuses=("completed", "failed", "cancelled")),
    "several types": lambda _: JobFilter(types=("letter", "unknown", "email")),
    "one type that nobody has": lambda _: JobFilter(types=("unknown",)),
    "statuses and types": lambda _: JobFilter(statuses=("failed", "pending"), types=("letter",)),
    "a whole id": lambda jobs: JobFilter(id_part=jobs[7].id),
    "the start of an id": lambda jobs: JobFilter(id_part=jobs[7].id[:20]),
    "the end of an id": lambda jobs: JobFilter(id_part=jobs[3].id[-6:].upper()),
    "the middle of an id": lambda jobs: JobFilter(id_part=jobs[3].id[19:26], types=("email",)),
    "what is in no id": lambda _: JobFilter(id_part="zz"),
    "what no id can have": lambda _: JobFilter(id_part="\0é"),
    "a key": lambda _: JobFilter(unique_key="key-1"),
    "a key of those that completed": lambda _: JobFilter(
        unique_key="key-1", statuses=("completed",)
    ),
    "a key and a tag": lambda _: JobFilter(unique_key="key-1", tag="tenant:2"),
    "a key that nobody has": lambda _: JobFilter(unique_key="tenant:0"),
    "a tag": lambda _: JobFilter(tag="tenant:1"),
    "a tag of what runs": lambda _: JobFilter(tag="urgent", statuses=("processing",)),
    "a tag, a type, a part of an id": lambda jobs: JobFilter(
        tag="urgent", types=("letter",), id_part=jobs[1].id[19:]
    ),
    "an error": lambda _: JobFilter(error="valueERROR"),
    "an error of what waits": lambda _: JobFilter(error="no", statuses=("pending",)),
    "an error of what has none": lambda _: JobFilter(error="no", statuses=("completed",)),
    "an error and a tag": lambda _: JobFilter(error="ValueError: no", tag="urgent"),
    "no such error": lambda _: JobFilter(error="100% \\ '"),
    "since a time": lambda jobs: JobFilter(created_after=moment_of(jobs[9])),
    "until a time": lambda jobs: JobFilter(created_before=moment_of(jobs[9])),
    "between two times": lambda jobs: JobFilter(
        created_after=moment_of(jobs[2]),
        created_before=moment_of(jobs[20]),
        statuses=("completed", "failed"),
    ),
    "before all time": lambda _: JobFilter(created_before=datetime(1901, 1, 1, tzinfo=UTC)),
}

LOOKS = (
    (memory, "LOOKS"),
    (memory, "LOOKS_AT_ERRORS"),
    (sqlite, "LOOKS_AT_IDS"),
    (sqlite, "LOOKS_AT_ROWS"),
    (sqlite, "LOOKS_AT_ERRORS"),
    (postgres, "LOOKS_AT_IDS"),
    (postgres, "LOOKS_AT_ROWS"),
)


def moment_of(job: JobSummary) -> datetime:
    """When its id was made. The clock of the workshop shows something else."""
    milliseconds = UUID(job.id).int >> 80
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_jobs_are_found_by_what_is_known_of_them(shop: Workshop, newest_first: bool) -> None:
    """Each store finds the same, in order and once, page after page."""
    jobs = await several(shop)
    for name, ask in FILTERS.items():
        wanted = ask(jobs)
        expected = [job.id for job in jobs if wanted.matches(job)]
        if newest_first:
            expected.reverse()
        assert await found(shop, wanted, newest_first=newest_first) == expected, name
        assert await found(shop, wanted, limit=1_000, newest_first=newest_first) == expected, name


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_page_ends_after_a_bounded_number_of_looks(
    shop: Workshop, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where to go on, and all pages together have all jobs."""
    jobs = await several(shop)
    for room, name in LOOKS:
        monkeypatch.setattr(room, name, 4)
    page = await shop.store.page(
        JobFilter(id_part="zz"), after=None, limit=5, newest_first=newest_first
    )
    assert page.jobs == []
    assert page.next is not None, "not all were looked at"
    for name, ask in FILTERS.items():
        wanted = ask(jobs)
        expected = [job.id for job in jobs if wanted.matches(job)]
        if newest_first:
            expected.reverse()
        assert await found(shop, wanted, newest_first=newest_first) == expected, name
    monkeypatch.undo()


async def test_the_filters_tell_jobs_apart(shop: Workshop) -> None:
    """Else the tests above would hold of a store that finds nothing."""
    jobs = await several(shop)
    sizes = {name: sum(map(ask(jobs).matches, jobs)) for name, ask in FILTERS.items()}
    nothing = {name for name, size in sizes.items() if size == 0}
    assert nothing == {
        "one type that nobody has",
        "what is in no id",
        "what no id can have",
        "a key that nobody has",
        "an error of what has none",
        "no such error",
        "before all time",
    }
    assert {name for name, size in sizes.items() if size == len(jobs)} == {
        "nothing",
        "several types",
    }


ERRORS = {
    "ValueError: first\0second": ("FIRST", "first\0SECOND", "second"),
    "ÄÖ \\u0000 É 100% '": ("Ä", "\\U0000", "100% '"),
    "x" * 999 + "the rest": ("xt",),
}
NOT_FOUND = ("äö", "the rest", "zz", "\\0", "first second")


@pytest.mark.parametrize("how", ["fail", "retry"])
async def test_an_error_is_found_by_any_part_of_its_start(
    shop: Workshop, how: Literal["fail", "retry"]
) -> None:
    """By its first 1,000 characters, of which any may be in it, until another attempt begins."""
    for error, parts in ERRORS.items():
        job_id = await shop.new()
        await shop.start(job_id)
        await shop.end(job_id, how, error)
        assert (await shop.store.get(job_id)).error == error
        for part in parts:
            assert await found(shop, JobFilter(error=part)) == [job_id], part
    for part in NOT_FOUND:
        assert await found(shop, JobFilter(error=part)) == [], part
    if how == "retry":
        await shop.run(job_id)
        assert await found(shop, JobFilter(error="xt")) == []


async def test_the_reason_of_a_job_that_never_ran_is_found_as_its_error(shop: Workshop) -> None:
    """In any state in which it can be."""
    first = await shop.new()
    second = await shop.new(after=(first,))
    await shop.run(first, "fail")
    (reason,) = [job.error for job in await shop.everything() if job.id == second]
    assert reason is not None
    assert await found(shop, JobFilter(error=reason[:200].upper())) == [second]


async def test_what_is_forgotten_is_not_found(make_workshop: MakeWorkshop) -> None:
    """By its key and its tags neither, and a new job with the same ones is."""
    shop = await make_workshop(retain=1)
    for _ in range(5):
        job_id = await shop.new(unique_key="only", tags=("marked",))
        await shop.run_and_forget(job_id)
    everything = [job.id for job in await shop.everything()]
    assert job_id in everything
    assert len(everything) < 5
    assert await found(shop, JobFilter(unique_key="only")) == everything
    assert await found(shop, JobFilter(tag="marked")) == everything
    await shop.check()


async def test_a_job_that_runs_again_keeps_its_tags(shop: Workshop) -> None:
    """So that it is found by them, too."""
    job_id = await shop.new(tags=("marked", "élève"))
    await shop.run(job_id, "fail")
    again = await shop.store.run_again(job_id)
    assert again.tags == ("marked", "élève")
    assert (await shop.store.get(again.id)).tags == ("marked", "élève")
    assert await found(shop, JobFilter(tag="élève")) == [job_id, again.id]


async def test_an_excerpt_tells_how_a_payload_begins_and_why_a_job_waits(shop: Workshop) -> None:
    """Of those that are asked for and kept; in characters, whatever each takes in bytes."""
    texts = ['"short"', '"' + "é" * 300 + '"', '"' + "\U0001f389" * 300 + '"']
    jobs = [(await shop.submit(Draft("email", text.encode(), 3)))[0].id for text in texts]
    await shop.run(jobs[1])
    await shop.start(jobs[2])
    await shop.new()
    excerpts = await shop.store.excerpts([*jobs, "no such job", "\0"])
    assert {job_id: excerpt.payload for job_id, excerpt in excerpts.items()} == {
        job_id: text[:EXCERPT_CHARS] for job_id, text in zip(jobs, texts, strict=True)
    }
    waiting = await shop.store.get(jobs[0])
    assert [excerpts[job_id].waits_because for job_id in jobs] == [
        waiting.waits_because,
        None,
        None,
    ]
    assert waiting.waits_because is not None
    later = await shop.new(delay_seconds=90, after=(jobs[0],))
    because = (await shop.store.excerpts([later]))[later].waits_because
    assert because == (await shop.store.get(later)).waits_because
