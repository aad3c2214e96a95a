"""Who has seen a job changes it only as they have seen it: of several, exactly one."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import trio

from job_service.errors import AlreadyFinished, JobChanged, NotPending
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.model import Edit
from tests.stores.workshop import Workshop

HOUR: Final = 3_600.0
Call = Callable[[Workshop, str, tuple[str, ...]], Awaitable[JobDetail]]

CALLS: Final[dict[str, Call]] = {
    "edit": lambda shop, job_id, expected: shop.store.edit(
        job_id, Edit(priority=1, expected=expected)
    ),
    "run now": lambda shop, job_id, expected: shop.store.edit(
        job_id, Edit(run_now=True, expected=expected)
    ),
    "cancel": lambda shop, job_id, expected: shop.store.cancel(job_id, "requested", None, expected),
}
each_call = pytest.mark.parametrize("call", CALLS)


async def all_at_once(*calls: Callable[[], Awaitable[Any]]) -> tuple[int, int]:
    """How many of these calls were done, and how many were refused, because the job has changed."""
    done = refused = 0

    async def ask(call: Callable[[], Awaitable[Any]]) -> None:
        nonlocal done, refused
        try:
            await call()
            done += 1
        except (JobChanged, AlreadyFinished, NotPending):
            refused += 1

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(ask, call)
    return done, refused


@each_call
async def test_one_that_is_as_expected_is_changed(shop: Workshop, call: str) -> None:
    """It has one of the versions, and a new one after that."""
    job_id = await shop.new(delay_seconds=HOUR)
    version = (await shop.store.get(job_id)).version
    answer = await CALLS[call](shop, job_id, ("another", version))
    assert answer.version != version
    assert (await shop.store.get(job_id)).version == answer.version


@each_call
async def test_one_that_has_changed_stays_as_it_is(shop: Workshop, call: str) -> None:
    """And so does one of which no version is expected that a job can have."""
    job_id = await shop.new(delay_seconds=HOUR)
    version = (await shop.store.get(job_id)).version
    await shop.store.edit(job_id, Edit(priority=9))
    before, events = await shop.store.get(job_id), list(shop.events)
    for expected in ((version,), ("another",), ()):
        with pytest.raises(JobChanged, match=job_id) as refused:
            await CALLS[call](shop, job_id, expected)
        assert refused.value.job.status == "pending"
    assert (await shop.store.get(job_id), shop.events) == (before, events)


@pytest.mark.parametrize("calls", [["edit"], ["run now"], ["cancel"], [*CALLS]], ids=str)
async def test_of_many_at_the_same_moment_one_is_done(shop: Workshop, calls: list[str]) -> None:
    """However they are mixed: none undoes what another one has done unseen."""
    job_id = await shop.new(delay_seconds=HOUR)
    version = (await shop.store.get(job_id)).version
    many = [lambda call=call: CALLS[call](shop, job_id, (version,)) for call in calls * 4]
    assert await all_at_once(*many) == (1, len(many) - 1)


async def test_a_running_job_is_called_off_once(shop: Workshop) -> None:
    """What it tells meanwhile is no change of it."""
    job_id = await shop.new()
    await shop.start(job_id)
    version = (await shop.store.get(job_id)).version
    await shop.tell_progress(job_id, 1)
    many = [lambda: CALLS["cancel"](shop, job_id, (version,))] * 4
    assert await all_at_once(*many) == (1, 3)
    assert (await shop.store.get(job_id)).cancel_requested


async def test_each_step_of_a_job_is_another_version(shop: Workshop) -> None:
    """None comes again."""
    job_id = await shop.new(delay_seconds=HOUR)
    versions = [(await shop.store.get(job_id)).version]
    for _ in range(2):
        await shop.store.edit(job_id, Edit(run_now=True))
        versions.append((await shop.store.get(job_id)).version)
        await shop.start(job_id)
        versions.append((await shop.store.get(job_id)).version)
        await shop.end(job_id, "snooze")
        versions.append((await shop.store.get(job_id)).version)
    await shop.store.cancel(job_id, "requested")
    versions.append((await shop.store.get(job_id)).version)
    assert len(set(versions)) == len(versions)


async def test_that_a_job_has_ended_is_told_first(shop: Workshop) -> None:
    """Then nobody can change it, whatever they expect."""
    job_id = await shop.new()
    await shop.run(job_id)
    for error, call in ((NotPending, "edit"), (AlreadyFinished, "cancel")):
        with pytest.raises(error):
            await CALLS[call](shop, job_id, ("another",))
