"""Submissions: how many may wait, how a full queue is told of, and when it is closed."""

import inspect
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service.errors import (
    InvalidPayload,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    UnknownJob,
    UnknownJobType,
)
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.json_text.nesting import MAX_DEPTH
from job_service.stores import memory
from job_service.telemetry.events import JobRejected
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, run_one

Autojump = trio.testing.MockClock


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("number")
    async def number(number: int) -> int:
        return number

    @registry.job("minute")
    async def minute() -> None:
        await trio.sleep(60)


def edges(rig: Rig) -> list[dict[str, Any]]:
    """The lines that tell of a full queue, without their timestamps."""
    return [
        {key: value for key, value in line.items() if key != "timestamp"}
        for line in rig.lines
        if line["event"] in ("queue_full", "queue_freed")
    ]


async def reject(rig: Rig, times: int) -> None:
    """Submit to a full queue."""
    for _ in range(times):
        with pytest.raises(QueueFull, match=r"is full: (\d+) of \1 places taken"):
            await rig.queue.submit("minute")


async def test_no_more_jobs_wait_than_may(make_rig: MakeRig) -> None:
    """The submission that finds no room is refused, counted, and leaves nothing else behind."""
    rig = make_rig(queue_capacity=3)
    jobs = [await rig.queue.submit("number", number) for number in range(3)]
    events = len(rig.record.events)
    await reject(rig, 1)

    assert [event.event for event in rig.record.events[events:]] == ["job_rejected", "queue_full"]
    assert [job.id for job in await rig.queue.list()] == [job.id for job in jobs]
    now = rig.snapshot()
    assert (now.jobs_created, now.jobs_pending, now.jobs_rejected) == (3, 3, 1)
    assert "job_rejected" not in [line["event"] for line in rig.lines], "counted, not logged"


async def test_running_jobs_take_no_place_in_the_queue(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Two workers and three places: five jobs fit."""
    rig = make_rig(workers=2, queue_capacity=3)
    await rig.start()
    for _ in range(5):
        await run_one(rig, "minute")
    await reject(rig, 1)
    assert (rig.snapshot().jobs_in_progress, rig.snapshot().jobs_pending) == (2, 3)


async def test_a_full_queue_is_told_of_once_and_so_is_its_end(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """However many are rejected there are two lines, and the second tells how many, how long."""
    rig = make_rig(workers=1, queue_capacity=4)
    await rig.start()
    for _ in range(5):
        await run_one(rig, "minute")
    assert edges(rig) == [], "full, but nobody has been turned away"
    await reject(rig, 7)
    full = {"level": "warning", "event": "queue_full", "queue_capacity": 4}
    assert edges(rig) == [full]
    await trio.sleep(90)

    freed = {"level": "info", "event": "queue_freed", "jobs_rejected": 7, "full_seconds": 60.0}
    assert edges(rig) == [full, freed]
    assert list(edges(rig)[1]) == ["level", "event", "jobs_rejected", "full_seconds"]
    assert rig.snapshot().jobs_rejected == 7


async def test_a_queue_at_its_bound_does_not_flood_the_log(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """One place that is freed and taken again is no edge; a quarter of the places is one."""
    rig = make_rig(workers=1, queue_capacity=8)
    await rig.start()
    for _ in range(9):
        await run_one(rig, "minute")
    await trio.sleep(1)
    for _ in range(5):
        await reject(rig, 1)
        await trio.sleep(60)
        await rig.queue.submit("minute")
    assert [line["event"] for line in edges(rig)] == ["queue_full"]
    await trio.sleep(120)
    assert [line["event"] for line in edges(rig)] == ["queue_full", "queue_freed"]
    assert edges(rig)[1]["jobs_rejected"] == 5


async def test_a_queue_can_be_full_more_than_once(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Each time has its own two lines, and its own count."""
    rig = make_rig(workers=1, queue_capacity=1)
    await rig.start()
    await run_one(rig, "minute")
    await trio.sleep(1)
    for rejected in (2, 3):
        await run_one(rig, "minute")
        await reject(rig, rejected)
        await trio.sleep(60)
    assert [line.get("jobs_rejected") for line in edges(rig)] == [None, 2, None, 3]


async def test_a_cancelled_job_makes_room(make_rig: MakeRig) -> None:
    """A pending job that is called off frees its place, and may be what ends the shortage."""
    rig = make_rig(queue_capacity=1)
    job = await rig.queue.submit("minute")
    await reject(rig, 1)
    await rig.queue.cancel(job.id)
    await rig.queue.submit("minute")
    assert [line["event"] for line in edges(rig)] == ["queue_full", "queue_freed"]


async def test_a_draining_queue_is_closed(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """From the first moment of a drain submissions are refused and counted; reading goes on."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "minute")
    assert rig.engine.accepting
    rig.engine.drain(100)
    assert not rig.engine.accepting
    with pytest.raises(QueueClosed):
        await rig.queue.submit("minute")

    rejected = rig.record.of(JobRejected)
    assert [(event.job_type, event.reason) for event in rejected] == [("minute", "draining")]
    assert edges(rig) == [], "closed is not full"
    assert (await rig.queue.get(job.id)).status == "processing"
    await trio.sleep(100)
    assert [each.status for each in await rig.queue.list()] == ["completed"]


async def test_bad_submissions_change_nothing(make_rig: MakeRig) -> None:
    """Unknown types and payloads that don't fit leave no event, no count and no job behind."""
    rig = make_rig()
    with pytest.raises(UnknownJobType):
        await rig.queue.submit("no_such_type")
    for payload in ("text", None, 1.5, msgspec.Raw(b"1 2"), msgspec.Raw(b""), object(), {(1,): 2}):
        with pytest.raises(InvalidPayload):
            await rig.queue.submit("number", payload)
    assert (rig.record.events, await rig.queue.list()) == ([], [])


@pytest.mark.parametrize("payload", [7, msgspec.Raw(b"7"), msgspec.Raw(b" 7 ")])
async def test_a_payload_is_a_value_or_json_text(payload: object, make_rig: MakeRig) -> None:
    """Programs submit values, and HTTP hands the text on as it came."""
    rig = make_rig()
    job = await rig.queue.submit("number", payload)
    detail = await rig.queue.get(job.id)
    assert (detail.status, json.loads(bytes(detail.payload))) == ("pending", 7)


@pytest.mark.parametrize("as_text", [False, True])
async def test_a_payload_may_be_nested_just_so_deep(as_text: bool, make_rig: MakeRig) -> None:
    """One level more is refused, whether it comes as a value or as JSON text."""
    rig = make_rig()

    async def submit(levels: int) -> None:
        deep: Any = []
        for _ in range(levels - 1):
            deep = [deep]
        payload = msgspec.Raw(msgspec.json.encode(deep)) if as_text else deep
        await rig.queue.submit("anything", payload)

    @rig.registry.job("anything")
    async def anything(payload: Any) -> None: ...

    await submit(MAX_DEPTH)
    with pytest.raises(InvalidPayload, match=f"nested more than {MAX_DEPTH} deep"):
        await submit(MAX_DEPTH + 1)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidPayload, match=f"nested more than {MAX_DEPTH} deep"):
        await rig.queue.submit("anything", endless)
    assert len(await rig.queue.list()) == 1


async def test_a_payload_that_takes_long_to_read_is_refused(make_rig: MakeRig) -> None:
    """While it is read, nothing else runs."""
    rig = make_rig()

    @rig.registry.job("anything")
    async def anything(payload: Any) -> None: ...

    with pytest.raises(InvalidPayload, match="over 1,000 of its numbers have an exponent of 200"):
        await rig.queue.submit("anything", [1e308] * 1_001)
    assert (await rig.queue.submit("anything", [1e308] * 1_000)).status == "pending"


async def _retry(queue: JobQueue, job_id: str) -> None:
    with suppress(NotFinished):
        await queue.retry(job_id)


async def _run_now(queue: JobQueue, job_id: str) -> None:
    with suppress(NotPending):
        await queue.run_now(job_id)


async def _edit(queue: JobQueue, job_id: str) -> None:
    with suppress(NotPending):
        await queue.edit(job_id, priority=1)


CALLS: dict[str, Callable[[JobQueue, str], Awaitable[object]]] = {
    "submit": lambda queue, _: queue.submit("number", 7, idempotency_key="7"),
    "submit_all": lambda queue, _: queue.submit_all([queue.check("number", 7)] * 2),
    "get": lambda queue, job_id: queue.get(job_id),
    "list": lambda queue, _: queue.list(),
    "page": lambda queue, _: queue.page(tag="none"),
    "with_excerpts": lambda queue, _: queue.with_excerpts([]),
    "cancel": lambda queue, job_id: queue.cancel(job_id),
    "cancel_all": lambda queue, _: queue.cancel_all("minute"),
    "run_now": lambda queue, job_id: _run_now(queue, job_id),
    "run_now_all": lambda queue, _: queue.run_now_all("minute"),
    "edit": lambda queue, job_id: _edit(queue, job_id),
    "retry_all": lambda queue, _: queue.retry_all("minute"),
    "retry": _retry,
    "pause": lambda queue, _: queue.pause("minute"),
    "resume": lambda queue, _: queue.resume("minute"),
    "view": lambda queue, _: queue.view(),
    "types": lambda queue, _: queue.types(),
    "overview": lambda queue, _: queue.overview(),
    "nodes": lambda queue, _: queue.nodes(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", ["pending", "processing"])
async def test_a_caller_who_is_cancelled_has_done_nothing(
    call: str, status: str, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """So whoever asks again has not asked twice."""
    rig = make_rig()
    if status == "processing":
        await rig.start()
    job = await run_one(rig, "minute")
    assert (await rig.queue.get(job.id)).status == status
    events = len(rig.record.events)
    with trio.CancelScope() as scope:
        scope.cancel()
        await CALLS[call](rig.queue, job.id)
    assert scope.cancelled_caught
    assert len(rig.record.events) == events


@pytest.mark.parametrize("call", CALLS)
async def test_a_caller_who_is_cancelled_meanwhile_has_done_nothing_or_the_whole(
    call: str, make_rig: MakeRig
) -> None:
    """Whoever gets no answer has changed nothing, and whoever has changed something gets one."""
    rig = make_rig()
    job = await rig.queue.submit("minute")
    events = len(rig.record.events)
    begun = answered = False

    async def ask() -> None:
        nonlocal begun, answered
        begun = True
        await CALLS[call](rig.queue, job.id)
        answered = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        while not begun:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert answered or len(rig.record.events) == events
    assert answered or call not in ("cancel", "cancel_all", "run_now", "edit", "retry")


@pytest.mark.parametrize("call", CALLS)
async def test_who_calls_over_and_over_lets_others_run(
    call: str, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is a checkpoint, also one that is refused."""
    monkeypatch.setattr(memory, "GIVE_WAY_SECONDS", 0)  # which is soon, but not at once
    rig = make_rig(queue_capacity=2)
    job = await rig.queue.submit("minute")
    for refused in (False, True):
        with trio.testing.assert_checkpoints(), suppress(QueueFull, UnknownJob):
            await CALLS[call](rig.queue, "no such job" if refused else job.id)


async def test_a_thousand_submissions_in_a_row_let_the_workers_run(
    registry: Registry, make_rig: MakeRig
) -> None:
    """The queue does not fill up while workers are idle."""
    done: list[int] = []

    @registry.job("short")
    async def short(number: int) -> None:
        done.append(number)

    rig = make_rig(workers=10, queue_capacity=20)
    await rig.start()
    for number in range(1_000):
        await rig.queue.submit("short", number)
    assert len(done) > 950
    rig.engine.drain(10)


@pytest.mark.parametrize("jobs", [1, 2])
async def test_none_is_refused_before_others_could_make_room_in_bytes(
    jobs: int, make_rig: MakeRig, nursery: trio.Nursery
) -> None:
    """As it is when places run out: whoever is behind in this turn of the loop comes first."""
    rig = make_rig(queue_bytes=4)
    drafts = [rig.queue.check("number", 1234 if jobs == 1 else 12)] * jobs
    for _ in range(10):  # because Trio shuffles those who are in the same turn
        first = await rig.queue.submit("number", 1)
        nursery.start_soon(rig.queue.cancel, first.id)
        for job in await rig.queue.submit_all(drafts):
            await rig.queue.cancel(job.id)


async def test_nothing_comes_between_reading_a_job_and_calling_it_off(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Whoever has just seen a job pending calls off a pending one, however busy the loop is."""
    rig = make_rig(workers=1)
    await rig.start()
    for _ in range(20):
        job = await rig.queue.submit("minute")
        seen = await rig.queue.get(job.id)
        assert (await rig.queue.cancel(job.id)).cancel_requested == (seen.status == "processing")
        ended = await rig.queue.wait(job.id, 100)
        seen = await rig.queue.get(ended.id)
        assert (await rig.queue.retry(ended.id)).retry_of == ended.id


def test_the_tests_above_know_all_calls() -> None:
    """A new method of the queue must keep the promises too, but for those that say so."""
    assert set(CALLS) | {"wait", "back_up", "require_types"} == {
        name for name, _ in inspect.getmembers(JobQueue, inspect.iscoroutinefunction)
    }
