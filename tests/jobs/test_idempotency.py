"""Idempotency keys: who repeats a submission gets the job of the first time."""

from functools import partial

import pytest
import trio
import trio.testing

from job_service import Discard
from job_service.errors import (
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    QueueClosed,
    QueueFull,
    UnknownJob,
)
from job_service.jobs.registration.registry import Registry
from job_service.stores import idempotency
from tests.jobs.steps import MakeRig, run_one

Autojump = trio.testing.MockClock

DAY = 24 * 3_600


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("number")
    async def number(number: int) -> int:
        return number


async def test_the_same_submission_with_the_same_key_makes_one_job(make_rig: MakeRig) -> None:
    """It is told as it is by now, and as one that was there before."""
    rig = make_rig()
    first = await rig.queue.submit("number", 7, idempotency_key="a")
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    second = await rig.queue.submit("number", 7, idempotency_key="a")
    assert (first.replayed, second.replayed) == (False, True)
    assert (second.id, second.status) == (first.id, "completed")
    assert rig.snapshot().jobs_created == 1


async def test_other_keys_and_no_key_make_other_jobs(make_rig: MakeRig) -> None:
    """Only the key says that two submissions are one."""
    rig = make_rig()
    for key in ("a", "b", None, None):
        assert not (await rig.queue.submit("number", 7, idempotency_key=key)).replayed
    assert rig.snapshot().jobs_created == 4


async def test_a_key_is_for_one_request_only(make_rig: MakeRig) -> None:
    """Another payload, number of retries or operation is refused, and changes nothing."""
    rig = make_rig()
    job = await rig.queue.submit("number", 7, idempotency_key="a")
    await rig.queue.cancel(job.id)
    draft = rig.queue.check("number", 7)
    events = len(rig.record.events)
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.submit("number", 8, idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.submit("number", 7, max_retries=9, idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.submit_all([draft], idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.retry(job.id, idempotency_key="a")
    assert len(rig.record.events) == events
    assert (await rig.queue.submit("number", 7, idempotency_key="a")).id == job.id


async def test_a_batch_is_repeated_as_a_whole(make_rig: MakeRig) -> None:
    """The same jobs in the same order; a batch that differs in one job is another request."""
    rig = make_rig()
    drafts = [rig.queue.check("number", n) for n in range(3)]
    first = await rig.queue.submit_all(drafts, idempotency_key="a")
    second = await rig.queue.submit_all(drafts, idempotency_key="a")
    assert [job.id for job in second] == [job.id for job in first]
    assert all(job.replayed for job in second)
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.submit_all(drafts[::-1], idempotency_key="a")
    assert rig.snapshot().jobs_created == 3


async def test_a_job_is_run_again_once_for_each_key(make_rig: MakeRig) -> None:
    """Even when the job that is to be run again has been forgotten since."""
    rig = make_rig(retain=1)
    await rig.start()
    old = await run_one(rig, "number", 7)
    new = await rig.queue.retry(old.id, idempotency_key="a")
    await trio.testing.wait_all_tasks_blocked()
    again = await rig.queue.retry(old.id, idempotency_key="a")
    assert (again.id, again.retry_of, again.status) == (new.id, old.id, "completed")
    assert rig.snapshot().jobs_created == 2


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_forgotten_job_is_told_by_how_it_has_ended(
    status: str, make_rig: MakeRig, registry: Registry, autojump_clock: Autojump
) -> None:
    """It is not made anew, nor does it wait again; by whichever of its keys it is asked for."""

    @registry.job("ends")
    async def ends(how: str) -> None:
        if how == "failed":
            raise Discard("no")

    rig = make_rig(retain=0)
    asked = partial(rig.queue.submit, "ends", status, delay_seconds=5, unique_key="k")
    first = await asked(idempotency_key="a")
    (other,) = await rig.queue.submit_all(
        [rig.queue.check("ends", status, unique_key="k")], idempotency_key="b"
    )
    assert (first.status, other.duplicate) == ("pending", True)
    if status == "cancelled":
        await rig.queue.cancel(first.id)
    await rig.start()
    await trio.sleep(6)
    with pytest.raises(UnknownJob):
        await rig.queue.get(first.id)

    again = await asked(idempotency_key="a")
    (other_again,) = await rig.queue.submit_all(
        [rig.queue.check("ends", status, unique_key="k")], idempotency_key="b"
    )
    for replay, duplicate in ((again, False), (other_again, True)):
        assert (replay.id, replay.status) == (first.id, status)
        assert (replay.replayed, replay.duplicate) == (True, duplicate)
        assert replay.finished_at is not None
        assert replay.finished_at >= first.created_at


async def test_what_was_refused_is_not_remembered(make_rig: MakeRig) -> None:
    """The same key may then be used for what is accepted."""
    rig = make_rig(queue_capacity=1)
    with pytest.raises(InvalidPayload):
        await rig.queue.submit("number", "x", idempotency_key="a")
    waiting = await rig.queue.submit("number", 1)
    with pytest.raises(QueueFull):
        await rig.queue.submit("number", 2, idempotency_key="a")
    await rig.queue.cancel(waiting.id)
    assert not (await rig.queue.submit("number", 3, idempotency_key="a")).replayed


async def test_a_known_key_is_answered_when_nothing_is_accepted(make_rig: MakeRig) -> None:
    """A full or a draining queue has the job already."""
    rig = make_rig(queue_capacity=1)
    job = await rig.queue.submit("number", 7, idempotency_key="a")
    assert (await rig.queue.submit("number", 7, idempotency_key="a")).id == job.id
    rig.engine.drain(10)
    assert (await rig.queue.submit("number", 7, idempotency_key="a")).id == job.id
    with pytest.raises(QueueClosed):
        await rig.queue.submit("number", 7, idempotency_key="b")
    assert rig.snapshot().jobs_rejected == 1


async def test_a_key_is_remembered_for_a_day(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """Repeating a request does not make it last longer."""
    rig = make_rig()
    first = await rig.queue.submit("number", 7, idempotency_key="a")
    await trio.sleep(DAY - 1)
    assert (await rig.queue.submit("number", 7, idempotency_key="a")).id == first.id
    await trio.sleep(1)
    assert (await rig.queue.submit("number", 7, idempotency_key="a")).id != first.id


async def test_where_there_are_too_many_the_oldest_keys_are_forgotten(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on the jobs of all keys together, so that memory is bounded."""
    monkeypatch.setattr(idempotency, "MAX_REMEMBERED_JOBS", 5)
    rig = make_rig()
    drafts = [rig.queue.check("number", n) for n in range(3)]
    await rig.queue.submit("number", 1, idempotency_key="one")
    await rig.queue.submit_all(drafts, idempotency_key="three")
    await rig.queue.submit("number", 1, idempotency_key="another")
    await rig.queue.submit("number", 1, idempotency_key="last")  # the sixth: "one" goes
    assert (await rig.queue.submit_all(drafts, idempotency_key="three"))[0].replayed
    assert not (await rig.queue.submit("number", 1, idempotency_key="one")).replayed
    assert not (await rig.queue.submit_all(drafts, idempotency_key="three"))[0].replayed


async def test_the_newest_key_is_remembered_however_many_jobs_it_made(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever repeats a large batch must not get it twice."""
    monkeypatch.setattr(idempotency, "MAX_REMEMBERED_JOBS", 5)
    rig = make_rig()
    drafts = [rig.queue.check("number", n) for n in range(6)]
    for replayed in (False, True):
        jobs = await rig.queue.submit_all(drafts, idempotency_key="six")
        assert [job.replayed for job in jobs] == [replayed] * 6


async def test_keys_that_made_no_job_are_bounded_too(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counts as one job."""
    monkeypatch.setattr(idempotency, "MAX_REMEMBERED_JOBS", 5)
    rig = make_rig()
    await rig.queue.submit("number", 1, idempotency_key="first")
    for number in range(5):
        await rig.queue.submit_all([], idempotency_key=f"empty-{number}")
    assert not (await rig.queue.submit("number", 1, idempotency_key="first")).replayed


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "\t", "ü", "a\n"])
async def test_a_key_is_of_visible_ascii_characters(key: str, make_rig: MakeRig) -> None:
    """1 to 255 of them."""
    rig = make_rig()
    with pytest.raises(InvalidIdempotencyKey):
        await rig.queue.submit("number", 7, idempotency_key=key)
    assert rig.record.events == []
    await rig.queue.submit("number", 7, idempotency_key="!" + "~" * 254)


async def test_text_that_is_not_unicode_is_refused_by_name(make_rig: MakeRig) -> None:
    """With a key and without one, as an option, and as an id that no job has."""
    rig = make_rig()
    for key in (None, "a"):
        with pytest.raises(InvalidOption, match="unique_key must be Unicode text"):
            await rig.queue.submit("number", 7, unique_key="\ud800", idempotency_key=key)
        with pytest.raises(InvalidOption, match="after must be Unicode text"):
            await rig.queue.submit("number", 7, after=["\ud800"], idempotency_key=key)
        with pytest.raises(UnknownJob):
            await rig.queue.retry("\ud800", idempotency_key=key)
    assert rig.record.events == []
