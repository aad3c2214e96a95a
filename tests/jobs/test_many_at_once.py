"""Many jobs are run now or run again by one call, as they can be cancelled by one."""

from typing import Any

import pytest
import trio
import trio.testing
from msgspec import UNSET

from job_service.errors import InvalidIdempotencyKey, InvalidOption, UnknownJobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobCreated, JobEdited
from tests.jobs.steps import MakeRig, run_one, running
from tests.jobs.virtual_time import VIRTUAL

Autojump = trio.testing.MockClock
HOUR = 3_600


@pytest.fixture(autouse=True)
def ran(registry: Registry) -> list[int]:
    """What has run well."""
    numbers: list[int] = []

    @registry.job("number")
    async def number(payload: int) -> None:
        numbers.append(payload)

    begun = set[int]()

    @registry.job("fails_at_first", retry=Retry(max_retries=0))
    async def fails_at_first(payload: int) -> None:
        if payload not in begun:
            begun.add(payload)
            raise ValueError(f"no luck with {payload % 2}")

    return numbers


async def test_all_that_wait_for_their_time_are_run_now(
    ran: list[int], registry: Registry, autojump_clock: Autojump
) -> None:
    """Those that wait for others, or for a pause to end, are passed over."""
    async with running(registry, clock=VIRTUAL, grace=2 * HOUR) as rig:
        later = [await run_one(rig, "number", n, delay_seconds=HOUR) for n in range(3)]
        await run_one(rig, "number", 3, after=[later[0].id], delay_seconds=HOUR)
        await run_one(rig, "number", 4, delay_seconds=HOUR, tags=["mine"])
        assert (await rig.queue.run_now_all(tag="mine", by="alice")).made_ready == 1
        assert [event.by for event in rig.record.of(JobEdited)] == ["alice"]
        assert (await rig.queue.run_now_all("number")).made_ready == 3
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(ran) == [0, 1, 2, 4]
        assert (await rig.queue.run_now_all("number")).made_ready == 1  # which waits no more
    assert sorted(ran) == [0, 1, 2, 3, 4]


async def test_all_that_have_failed_are_run_again_once(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """As the filters say, whoever asks twice; with another key they are run again after all."""
    async with running(registry, clock=VIRTUAL) as rig:
        old = [(await run_one(rig, "fails_at_first", n)).id for n in range(6)]
        wanted: Any = {"job_type": "fails_at_first", "error": "LUCK WITH 1"}
        for expected in (3, 0):
            done = await rig.queue.retry_all(by="bob", **wanted)
            assert (done.retried, done.full, done.next) == (expected, False, None)
            await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.retry_all(idempotency_key="again", **wanted)).retried == 3
        again = [event for event in rig.record.of(JobCreated) if event.retry_of]
        assert sorted(str(event.retry_of) for event in again) == sorted(2 * old[1::2])
        assert [event.by for event in again] == ["bob"] * 3 + [UNSET] * 3


async def test_a_full_queue_is_no_loss(make_rig: MakeRig) -> None:
    """So many are run again as fit, and the others if it is gone on with later."""
    rig = make_rig(queue_capacity=150, retain=1_000)
    drafts = [rig.queue.check("number", n) for n in range(100)]
    for _ in range(2):
        await rig.queue.submit_all(drafts)
        await rig.queue.cancel_all("number")
    done = await rig.queue.retry_all("number", status="cancelled")
    assert (done.retried, done.full) == (150, True)
    await rig.queue.cancel_all(status="pending")
    rest = await rig.queue.retry_all("number", status="cancelled", after=done.next)
    assert (rest.retried, rest.full) == (50, False)
    created = [event.retry_of for event in rig.record.of(JobCreated) if event.retry_of]
    assert len(set(created)) == len(created) == 200


@pytest.mark.parametrize("what", ["cancel_all", "run_now_all", "retry_all"])
async def test_it_may_be_done_portion_by_portion(what: str, make_rig: MakeRig) -> None:
    """Each says where to go on, and together they are the whole."""
    rig = make_rig(queue_capacity=1_000, retain=1_000)
    await rig.queue.submit_all([rig.queue.check("number", n, delay_seconds=HOUR) for n in range(5)])
    if what == "retry_all":
        await rig.queue.cancel_all("number")
    filters: Any = {"status": "cancelled"} if what == "retry_all" else {"job_type": "number"}
    changed, after = [], None
    while True:
        done: Any = await getattr(rig.queue, what)(after=after, limit=2, **filters)
        changed.append(getattr(done, what.removesuffix("_all"), None) or first_count(done))
        after = done.next
        if after is None:
            break
    assert changed[:3] == [2, 2, 1]


def first_count(done: Any) -> int:
    """The first number of an answer."""
    number: int = getattr(done, done.__struct_fields__[0])
    return number


@pytest.mark.parametrize("what", ["cancel_all", "run_now_all", "retry_all"])
async def test_who_says_nothing_means_no_jobs(what: str, make_rig: MakeRig) -> None:
    """Nor does who says what can't be."""
    rig = make_rig()
    await rig.queue.submit("number", 1, delay_seconds=HOUR)
    call: Any = getattr(rig.queue, what)
    events = list(rig.record.events)
    with pytest.raises(InvalidOption, match="nothing says which jobs are meant"):
        await call()
    with pytest.raises(InvalidOption, match="status must be one of"):
        await call(status="pending" if what == "retry_all" else "failed")
    with pytest.raises(UnknownJobType):
        await call("nobody")
    assert rig.record.events == events


async def test_a_key_must_be_one(make_rig: MakeRig) -> None:
    """As with a submission."""
    with pytest.raises(InvalidIdempotencyKey):
        await make_rig().queue.retry_all("fails_at_first", idempotency_key="two words")


@pytest.mark.parametrize("what", ["cancel_all", "run_now_all"])
async def test_thousands_hold_nobody_up(what: str, make_rig: MakeRig) -> None:
    """Other tasks have their turn after each hundred of them."""
    many = 3_000
    rig = make_rig(queue_capacity=many, retain=many)
    draft = rig.queue.check("number", 1, delay_seconds=HOUR)
    await rig.queue.submit_all([draft] * many)
    events = len(rig.record.events)
    most = 0

    async def watch() -> None:
        nonlocal most, events
        while True:
            now = len(rig.record.events)
            most, events = max(most, now - events), now
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.lowlevel.checkpoint()
        await getattr(rig.queue, what)("number")
        nursery.cancel_scope.cancel()
    assert len(rig.record.of(JobEdited)) in (0, many)
    assert 0 < most <= 400  # an event or two for each, and perhaps two portions in a row
