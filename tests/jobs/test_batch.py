"""Many jobs in one step: all of them or none."""

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Draft
from job_service.errors import (
    BatchTooLarge,
    InvalidOption,
    InvalidPayload,
    QueueClosed,
    QueueFull,
    UnknownJobType,
)
from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import JobCreated, JobRejected
from tests.jobs.steps import MakeRig, running


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("number")
    async def number(number: int) -> int:
        return number

    @registry.job("none")
    async def none() -> None: ...


async def test_a_batch_is_accepted_in_its_order(registry: Registry) -> None:
    """Each job is one like any other, and all of them are run."""
    async with running(registry) as rig:
        drafts = [rig.queue.check("number", n, max_retries=n) for n in range(50)]
        jobs = await rig.queue.submit_all(drafts)
        assert [job.id for job in jobs] == [job.id for job in await rig.queue.list()]
        assert [job.max_retries for job in jobs] == list(range(50))
    details = [await rig.queue.get(job.id) for job in jobs]
    assert [bytes(detail.result or b"") for detail in details] == [b"%d" % n for n in range(50)]


async def test_checking_leaves_no_trace(make_rig: MakeRig) -> None:
    """What is wrong with a job is said before anything is accepted."""
    rig = make_rig()
    rig.queue.check("number", 7)
    with pytest.raises(UnknownJobType):
        rig.queue.check("no_such_type")
    with pytest.raises(InvalidPayload):
        rig.queue.check("number", "seven")
    with pytest.raises(ValueError, match="max_retries"):
        rig.queue.check("number", 7, max_retries=-1)
    assert rig.record.events == []


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"priority": 10}, "priority must be a whole number between 0 and 9"),
        ({"priority": True}, "priority must be"),
        ({"priority": None}, "priority must be"),
        ({"max_retries": -1}, "max_retries must be"),
        ({"delay_seconds": math.inf}, "delay_seconds must be a number of seconds"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at must be a date and time with an offset"),  # noqa: DTZ001 - naive
        ({"run_at": datetime.now(UTC), "delay_seconds": 1.0}, "can't be used together"),
        ({"unique_key": ""}, "unique_key must be a text of 1 to 255"),
        ({"unique_key": "\ud800"}, "unique_key must be Unicode text"),
        ({"after": ("\ud800",)}, "after must be Unicode text"),
    ],
)
@pytest.mark.parametrize("key", [None, "a"])
async def test_a_draft_made_by_hand_is_checked_before_anything_happens(
    key: str | None, options: dict[str, Any], what: str, make_rig: MakeRig
) -> None:
    """No job of the batch is made, and the engine goes on."""
    rig = make_rig()
    await rig.start()
    wrong = Draft(**{"type": "none", "payload": b"null", "max_retries": 3, **options})
    with pytest.raises(InvalidOption, match=what), trio.testing.assert_checkpoints():
        await rig.queue.submit_all([rig.queue.check("none"), wrong], idempotency_key=key)
    assert rig.record.of(JobCreated) == []
    rig.engine.stop("enough")


async def test_a_draft_of_a_type_that_nobody_has_waits(make_rig: MakeRig) -> None:
    """Another program may know it."""
    rig = make_rig()
    (job,) = await rig.queue.submit_all([Draft("no_such_type", b"{}", 3)])
    assert job.status == "pending"


async def test_a_batch_that_does_not_fit_is_turned_away_as_a_whole(make_rig: MakeRig) -> None:
    """Each of its jobs is counted as rejected; the events are one for each job type."""
    rig = make_rig(queue_capacity=10)
    seven = [rig.queue.check("number", n) for n in range(7)]
    await rig.queue.submit_all(seven)
    with pytest.raises(QueueFull, match="3 more jobs fit, not 5"):
        await rig.queue.submit_all([*seven[:4], rig.queue.check("none")])
    assert len(await rig.queue.list()) == 7
    rejected = rig.record.of(JobRejected)
    assert Counter({event.job_type: event.jobs for event in rejected}) == {"number": 4, "none": 1}
    assert rig.snapshot().jobs_rejected == 5
    await rig.queue.submit_all(seven[:3])


async def test_a_batch_that_can_never_fit_is_told_so(make_rig: MakeRig) -> None:
    """Whoever submits it need not try again; it is turned away like any other that does not fit."""
    rig = make_rig(queue_capacity=3)
    draft = rig.queue.check("none")
    with pytest.raises(BatchTooLarge, match="4 jobs never fit: the queue has 3 places"):
        await rig.queue.submit_all([draft] * 4)
    assert rig.snapshot().jobs_rejected == 4
    await rig.queue.submit_all([draft] * 3)
    with pytest.raises(QueueFull) as caught:
        await rig.queue.submit_all([draft] * 3)
    assert not isinstance(caught.value, BatchTooLarge)


async def test_of_a_batch_only_what_would_make_jobs_counts(make_rig: MakeRig) -> None:
    """Duplicates take no place, so a batch of many lines may fit all the same."""
    rig = make_rig(queue_capacity=1)
    draft = rig.queue.check("none", unique_key="one")
    assert len(await rig.queue.submit_all([draft] * 4)) == 4


async def test_a_batch_too_large_for_a_queue_with_room_is_no_shortage(make_rig: MakeRig) -> None:
    """It is counted; but the log tells of a full queue only where less than a quarter is free."""
    rig = make_rig(queue_capacity=8)
    draft = rig.queue.check("none")
    await rig.queue.submit_all([draft] * 6)
    for _ in range(3):
        with pytest.raises(QueueFull):
            await rig.queue.submit_all([draft] * 3)
    assert "queue_full" not in rig.record.names()
    job = await rig.queue.submit("none")
    for _ in range(3):
        with pytest.raises(QueueFull):
            await rig.queue.submit_all([draft] * 2)
    await rig.queue.cancel(job.id)
    lines = [line for line in rig.lines if line["event"].startswith("queue_")]
    assert [line["event"] for line in lines] == ["queue_full", "queue_freed"]
    assert lines[1]["jobs_rejected"] == 6
    assert rig.snapshot().jobs_rejected == 15


async def test_a_draining_queue_takes_no_batch(make_rig: MakeRig) -> None:
    """Its jobs are counted as rejected."""
    rig = make_rig()
    rig.engine.drain(10)
    with pytest.raises(QueueClosed):
        await rig.queue.submit_all([rig.queue.check("none")] * 3)
    assert [(event.jobs, event.reason) for event in rig.record.of(JobRejected)] == [(3, "draining")]
