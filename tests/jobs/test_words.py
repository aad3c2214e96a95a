"""What somebody says with a call can be kept and told, or the call is refused."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio.testing

from job_service.errors import InvalidOption
from job_service.jobs.queueing.group_queue import GroupQueue
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.queueing.schedules import Schedules
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.model import Draft
from tests.conftest import Rig

NO_NAMES = ["", "a" * 256, "a\0b", "\ud800", 5, b"alice"]

CALLS: dict[str, Callable[[JobQueue, str, Any], Awaitable[object]]] = {
    "submit": lambda queue, _, by: queue.submit("echo", by=by),
    "submit_all": lambda queue, _, by: queue.submit_all([queue.check("echo")], by=by),
    "submit group": lambda queue, _, by: queue.groups.submit([queue.check("echo")], by=by),
    "cancel": lambda queue, job_id, by: queue.cancel(job_id, by=by),
    "cancel_all": lambda queue, _, by: queue.cancel_all("echo", by=by),
    "retry": lambda queue, job_id, by: queue.retry(job_id, by=by),
    "retry_all": lambda queue, _, by: queue.retry_all("echo", by=by),
    "run_now": lambda queue, job_id, by: queue.run_now(job_id, by=by),
    "run_now_all": lambda queue, _, by: queue.run_now_all("echo", by=by),
    "edit": lambda queue, job_id, by: queue.edit(job_id, priority=1, by=by),
    "cancel group": lambda queue, job_id, by: queue.groups.cancel(job_id, by=by),
    "retry group": lambda queue, job_id, by: queue.groups.retry(job_id, by=by),
    "run_now schedule": lambda queue, _, by: queue.schedules.run_now("nightly", by=by),
    "pause schedule": lambda queue, _, by: queue.schedules.pause("nightly", by=by),
    "resume schedule": lambda queue, _, by: queue.schedules.resume("nightly", by=by),
    "pause": lambda queue, _, by: queue.pause(by=by),
    "resume": lambda queue, _, by: queue.resume(by=by),
    "back_up": lambda queue, _, by: queue.back_up("/nowhere/copy", by=by),
}


@pytest.fixture
async def rig(registry: Registry, make_rig: Callable[..., Rig]) -> Rig:
    """An engine that runs, with a job type."""

    @registry.job("echo")
    async def echo(payload: object) -> None:
        pass

    @registry.cron("0 3 1 1 *")
    async def nightly() -> None:
        pass

    rig = make_rig()
    await rig.start()
    return rig


@pytest.fixture
def queue(rig: Rig) -> JobQueue:
    """Its queue."""
    return rig.queue


@pytest.mark.parametrize("by", NO_NAMES)
@pytest.mark.parametrize("call", CALLS)
async def test_nobody_is_called_what_no_event_can_tell(
    queue: JobQueue, rig: Rig, call: str, by: object
) -> None:
    """Each call that takes a name says so at once, and does nothing."""
    job_id = (await queue.submit("echo", delay_seconds=60)).id
    events = list(rig.record.events)
    with trio.testing.assert_checkpoints(), pytest.raises(InvalidOption, match="by must"):
        await CALLS[call](queue, job_id, by)
    assert rig.record.events == events


def test_each_call_that_takes_a_name_is_tried() -> None:
    """One that is added is to check the name, too."""
    takes_name = {
        name + suffix
        for kind, suffix in ((JobQueue, ""), (GroupQueue, " group"), (Schedules, " schedule"))
        for name, call in inspect.getmembers(kind, inspect.isfunction)
        if "by" in call.__annotations__
    }
    assert takes_name == set(CALLS)


@pytest.mark.parametrize("reason", ["\ud800", "a\0b", 5])
async def test_a_reason_can_be_told(queue: JobQueue, reason: Any) -> None:
    """Of one job, and of many."""
    job_id = (await queue.submit("echo", delay_seconds=60)).id
    for call in (queue.cancel(job_id, reason), queue.cancel_all("echo", reason=reason)):
        with pytest.raises(InvalidOption, match="reason must"):
            await call
    assert (await queue.cancel(job_id, "ümlaut", by="Zoë\\x" + "z" * 250)).status == "cancelled"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("by", NO_NAMES),
        ("type", NO_NAMES),
        ("retry_of", NO_NAMES),
        ("schedule", NO_NAMES),
        ("group", NO_NAMES),
        ("callback_of", NO_NAMES),
        ("limit_key", ["", "a" * 256, "\ud800", 5]),
        ("payload", [b"", b"\xff", "null", None]),
    ],
)
async def test_a_draft_of_ones_own_can_be_kept(
    queue: JobQueue, field: str, values: list[object]
) -> None:
    """Else it would be in the way of all others in the store, and at each start."""
    draft = Draft("echo", b"null", 3)
    for value in values:
        with pytest.raises(InvalidOption, match=field):
            await queue.submit_all([msgspec.structs.replace(draft, **{field: value})])
    assert await queue.list() == []
    assert len(await queue.submit_all([draft])) == 1
