"""A job that waits can be changed: its time, its priority and its payload."""

from datetime import timedelta

import pytest

from job_service import Draft
from job_service.errors import NotPending, QueueFull, UnknownJob, WaitsForJobs
from job_service.jobs.state.model import Edit
from job_service.telemetry.events import JobEdited
from tests.stores.workshop import How, MakeWorkshop, Workshop

SECOND = timedelta(seconds=1)
RUN_NOW = Edit(run_now=True)


def edits(shop: Workshop) -> list[JobEdited]:
    """What was said of changes."""
    return [event for event in shop.events if isinstance(event, JobEdited)]


async def test_a_job_for_later_is_to_run_now(shop: Workshop) -> None:
    """Its runner has it anew, and the answer and the event have the moment."""
    job_id = await shop.new(run_at=shop.now() + 90 * SECOND)
    shop.seconds = 2.0
    answer = await shop.store.edit(job_id, RUN_NOW)
    assert (answer.status, answer.run_at, answer.edits) == ("pending", shop.now(), 1)
    assert job_id in shop.waiting
    assert shop.told(job_id) == ["created", "edited"]
    (event,) = edits(shop)
    assert (event.timestamp, event.run_at) == (shop.now(), shop.now())
    assert (await shop.run(job_id)).status == "completed"


@pytest.mark.parametrize("how", ["retry", "snooze"])
async def test_a_retried_or_snoozed_job_is_to_run_now(shop: Workshop, how: How) -> None:
    """That costs no retry."""
    job_id = await shop.new()
    retries = (await shop.run(job_id, how)).attempts
    await shop.store.edit(job_id, RUN_NOW)
    job = await shop.run(job_id)
    assert (job.status, len(job.attempts)) == ("completed", len(retries) + 1)


async def test_a_job_that_is_ready_is_as_run_now_wants_it(shop: Workshop) -> None:
    """So it can be asked for again, and nothing is said of it."""
    job_id = await shop.new()
    await shop.make_ready(job_id)
    answer = await shop.store.edit(job_id, RUN_NOW)
    assert (answer.status, answer.edits) == ("pending", 0)
    assert shop.told(job_id) == ["created", "enqueued"]


async def test_a_job_is_put_off(shop: Workshop) -> None:
    """Whether it was ready or not, it is not ready until its new time has come."""
    for is_ready in (False, True):
        job_id = await shop.new()
        if is_ready:
            await shop.make_ready(job_id)
        shop.seconds += 3.0
        due = shop.now() + 60 * SECOND
        answer = await shop.store.edit(job_id, Edit(run_at=due))
        assert answer.run_at == due
        event = edits(shop)[-1]
        assert (event.run_at, event.wait_seconds == 3.0) == (due, is_ready)
        assert (await shop.store.get(job_id)).run_at == due


async def test_a_time_that_has_passed_is_now(shop: Workshop) -> None:
    """As it is at a submission."""
    job_id = await shop.new(run_at=shop.now() + 90 * SECOND)
    shop.seconds = 1.0
    assert (await shop.store.edit(job_id, Edit(run_at=shop.now() - SECOND))).run_at == shop.now()


async def test_priority_and_payload_are_changed_and_kept(shop: Workshop) -> None:
    """The event tells the priority, and of the payload its size alone. Its end has both, too."""
    job_id = await shop.new(run_at=shop.now() + 90 * SECOND)
    await shop.store.edit(job_id, Edit(priority=1))
    answer = await shop.store.edit(job_id, Edit(payload=b'{"to":"you"}'))
    assert (answer.priority, bytes(answer.payload), answer.edits) == (1, b'{"to":"you"}', 2)
    first, second = edits(shop)
    assert (first.priority, second.payload_bytes) == (1, 12)
    assert "you" not in str(second)
    await shop.store.edit(job_id, RUN_NOW)
    job = await shop.run(job_id)
    assert (job.status, job.priority, bytes(job.payload)) == ("completed", 1, b'{"to":"you"}')
    assert [each.priority for each in await shop.everything()] == [1]


async def test_what_is_changed_and_ends_at_once_is_kept_as_it_was_changed(shop: Workshop) -> None:
    """Both may be written together."""
    job_id = await shop.new()
    await shop.store.edit(job_id, Edit(payload=b"[1]", priority=9))
    await shop.store.cancel(job_id, "requested")
    job = await shop.store.get(job_id)
    assert (job.status, job.priority, bytes(job.payload)) == ("cancelled", 9, b"[1]")


async def test_a_job_that_waits_for_others_can_be_changed_but_not_run_now(shop: Workshop) -> None:
    """Its new time counts as soon as they have completed."""
    first = await shop.new()
    job_id = await shop.new(after=(first,), delay_seconds=5)
    with pytest.raises(WaitsForJobs):
        await shop.store.edit(job_id, RUN_NOW)
    due = shop.now() + 60 * SECOND
    await shop.store.edit(job_id, Edit(run_at=due, payload=b"[2]"))
    assert job_id not in shop.waiting
    await shop.run(first)
    job = await shop.store.get(job_id)
    assert (job.run_at, bytes(job.payload)) == (due, b"[2]")
    assert shop.told(job_id) == ["created", "edited"]
    await shop.store.cancel(job_id, "requested")


async def test_a_job_that_runs_or_has_ended_can_t_be_changed(shop: Workshop) -> None:
    """Nor one that a worker is about to begin, but for its payload; and there must be one."""
    with pytest.raises(UnknownJob):
        await shop.store.edit("no such job", RUN_NOW)
    job_id = await shop.new()
    await shop.make_ready(job_id)
    shop.on_their_way.add(job_id)
    with pytest.raises(NotPending, match="about to start"):
        await shop.store.edit(job_id, Edit(priority=1))
    assert bytes((await shop.store.edit(job_id, Edit(payload=b"[3]"))).payload) == b"[3]"
    await shop.start(job_id)
    told = shop.told(job_id)
    for wanted in (RUN_NOW, Edit(priority=1), Edit(payload=b"[4]")):
        with pytest.raises(NotPending, match="already processing"):
            await shop.store.edit(job_id, wanted)
    await shop.end(job_id)
    for wanted in (RUN_NOW, Edit(priority=1), Edit(payload=b"[4]")):
        with pytest.raises(NotPending, match="already completed"):
            await shop.store.edit(job_id, wanted)
    assert shop.told(job_id) == [*told, "completed"]


async def test_a_longer_payload_needs_room(make_workshop: MakeWorkshop) -> None:
    """As it would with a submission; a shorter one makes room."""
    shop = await make_workshop(capacity_bytes=1_000)
    (job,) = await shop.submit(Draft("email", b'"' + 698 * b"x" + b'"', 3))
    with pytest.raises(QueueFull, match="not 400"):
        await shop.store.edit(job.id, Edit(payload=b'"' + 1_098 * b"x" + b'"'))
    await shop.store.edit(job.id, Edit(payload=b'"x"'))
    await shop.submit(Draft("email", b'"' + 898 * b"x" + b'"', 3))
    await shop.check()
