"""A store that applies changes later, in groups: jobs run on it as on any other."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.outcome import Snooze
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.changes import Change, Readiness, hand_over
from job_service.jobs.state.detail import Cancellations, JobDetail
from job_service.jobs.state.model import TERMINAL, Job, Status
from job_service.stores.memory import MemoryStore
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, check_the_end, endings

Autojump = trio.testing.MockClock

COMMIT_SECONDS = 0.05


class SettlingStore(MemoryStore):
    """Keeps what it takes over for COMMIT_SECONDS before it applies that, in its order."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.apply = self._take_over
        self.open = trio.CancelScope()
        self._taken_over: list[Change] = []
        self._woken = trio.lowlevel.ParkingLot()
        self._applied = trio.lowlevel.ParkingLot()

    def _take_over(self, change: Change) -> None:
        if isinstance(change, Readiness):
            self._live.apply(change)
            return
        hand_over(change)
        self._taken_over.append(change)
        if trio.lowlevel.in_trio_run():
            self._woken.unpark_all()

    async def commit(self) -> None:
        """Apply what has been taken over, while it is open."""
        with self.open:
            while True:
                if not self._taken_over:
                    await self._woken.park()
                group = len(self._taken_over)
                await trio.sleep(COMMIT_SECONDS)
                self._apply(group)
                self._applied.unpark_all()

    def _apply(self, group: int) -> None:
        for _ in range(min(group, len(self._taken_over))):
            self._live.apply(self._taken_over.pop(0))

    async def settled(self) -> None:
        """Return when all is applied."""
        await trio.lowlevel.checkpoint()
        while self._taken_over:
            await self._applied.park()

    async def cancel(self, job_id: str, reason: str) -> JobDetail:
        """Call it off, after what is under way; an attempt may end before it is interrupted."""
        while True:
            await self.settled()
            await super().cancel(job_id, reason)
            await self.settled()
            job = self._find(job_id)
            if job.status in TERMINAL or job.cancel_reason is not None:
                return self._detail(job)

    async def cancel_all(self, job_type: str, status: Status | None, reason: str) -> Cancellations:
        """Call them off, after what is under way."""
        await self.settled()
        answer = await super().cancel_all(job_type, status, reason)
        await self.settled()
        return answer

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        """Give up what is left, after what was taken over."""
        self._apply(len(self._taken_over))
        super().leave_behind(reason_of)
        self._apply(len(self._taken_over))


async def settling(make_rig: MakeRig) -> Rig:
    """An engine of one worker on such a store, which runs."""
    rig = make_rig(workers=1, store=SettlingStore)
    assert isinstance(rig.store, SettlingStore)
    rig._nursery.start_soon(rig.store.commit)
    await rig.start()
    return rig


def close(rig: Rig) -> None:
    """The engine has ended: look whether the books balance."""
    assert isinstance(rig.store, SettlingStore)
    rig.store.open.cancel()
    check_the_end(rig)


async def end(rig: Rig) -> None:
    """Drain it."""
    rig.engine.drain(60)
    await trio.sleep(120)
    close(rig)


async def until_ended(rig: Rig, job_id: str) -> JobDetail:
    """The job, as soon as it has ended; and it must have done so once."""
    job = await rig.queue.wait(job_id, 60)
    assert len(endings(rig, job_id)) == 1
    return job


@pytest.mark.parametrize("seconds", [None, 0.0, COMMIT_SECONDS / 2, COMMIT_SECONDS, 1.0])
async def test_jobs_complete_however_long_they_take(
    seconds: float | None, registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Also those that end before their start is kept, one after the other on the same worker."""
    rig = await settling(make_rig)

    @registry.job("short")
    async def short(number: int) -> int:
        if seconds is not None:
            await trio.sleep(seconds)
        return number

    jobs = [await rig.queue.submit("short", number) for number in range(5)]
    for job in jobs:
        assert (await until_ended(rig, job.id)).status == "completed"
        assert rig.record.names(job.id) == [
            *("job_created", "job_enqueued", "job_started", "job_completed")
        ]
    await end(rig)


async def test_a_job_is_retried_and_fails_as_often_as_it_may(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Each attempt counts once, though the next one is decided on what is kept."""
    rig = await settling(make_rig)

    @registry.job("broken", retry=Retry(max_retries=2, base_seconds=1))
    async def broken() -> None:
        raise ValueError("no")

    job = await until_ended(rig, (await rig.queue.submit("broken")).id)
    assert (job.status, [attempt.attempt for attempt in job.attempts]) == ("failed", [1, 2, 3])
    await end(rig)


async def test_a_job_snoozes_and_comes_back(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """And its snooze costs no retry."""
    rig = await settling(make_rig)
    seen: list[int] = []

    @registry.job("sleepy", retry=Retry(max_retries=0))
    async def sleepy(job: JobContext) -> None:
        seen.append(job.attempt)
        job.progress(job.attempt, 2)
        if job.attempt == 1:
            raise Snooze(1)

    job = await until_ended(rig, (await rig.queue.submit("sleepy")).id)
    assert (job.status, job.snoozes, seen) == ("completed", 1, [1, 2])
    assert job.progress is not None
    assert job.progress.done == 2
    await end(rig)


async def test_a_worker_that_becomes_free_does_not_run_what_is_being_called_off(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """From the moment that the end of a pending job is handed over, nobody starts it."""
    rig = await settling(make_rig)
    seen: list[str] = []

    @registry.job("notes")
    async def notes(note: str) -> None:
        seen.append(note)
        await trio.sleep(0.12)  # so that it ends while the other's end is on its way

    await rig.queue.submit("notes", "first")
    second = await rig.queue.submit("notes", "second")
    await trio.sleep(0.1)
    assert (await rig.queue.cancel(second.id)).status == "cancelled"
    await trio.sleep(1)
    assert seen == ["first"]
    assert rig.record.names(second.id) == ["job_created", "job_enqueued", "job_cancelled"]
    await end(rig)


async def test_a_job_whose_time_comes_while_it_is_being_called_off_is_not_told_to_be_ready(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It counts as ready neither then nor for ever after."""
    rig = await settling(make_rig)

    @registry.job("later")
    async def later() -> None: ...

    job = await rig.queue.submit("later", delay_seconds=1)
    await trio.sleep(0.98)
    await rig.queue.cancel(job.id)
    assert trio.current_time() > 1
    assert rig.record.names(job.id) == ["job_created", "job_cancelled"]
    assert rig.snapshot().jobs_ready == 0
    await end(rig)


async def test_a_running_job_is_called_off(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """And the worker runs the next one."""
    rig = await settling(make_rig)

    @registry.job("long")
    async def long(seconds: float) -> None:
        await trio.sleep(seconds)

    job = await rig.queue.submit("long", 30)
    other = await rig.queue.submit("long", 0)
    await trio.sleep(0.01)  # it runs, though its start is not kept yet
    await rig.queue.cancel(job.id)
    assert (await until_ended(rig, job.id)).status == "cancelled"
    assert (await until_ended(rig, other.id)).status == "completed"
    await end(rig)


async def test_a_request_to_cancel_that_comes_behind_the_end_of_the_attempt_hits_no_other(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It neither interrupts the next job of that worker, nor stays on one that is to be retried."""
    rig = await settling(make_rig)
    handed_over: list[Job] = []

    @registry.job("flaky", retry=Retry(max_retries=1, base_seconds=10, jitter=0))
    async def flaky(job: JobContext) -> None:
        await trio.sleep(0.12)
        if job.attempt == 1:
            raise ValueError("no")

    @registry.job("other")
    async def other() -> None:
        await trio.sleep(1)

    job = await rig.queue.submit("flaky")
    next_one = await rig.queue.submit("other")
    await trio.sleep(0.11)
    handed_over.append(rig.store._find(job.id))
    rig.store._call_off(handed_over[0], "requested")  # kept at 0.16; the attempt ends at 0.12
    await trio.sleep(0.2)
    assert (handed_over[0].status, handed_over[0].cancel_reason) == ("pending", None)
    assert (await until_ended(rig, next_one.id)).status == "completed"
    assert (await until_ended(rig, job.id)).status == "completed"
    await end(rig)


async def test_who_cancels_a_job_while_its_attempt_ends_cancels_what_becomes_of_it(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The retry that was decided meanwhile is called off."""
    rig = await settling(make_rig)

    @registry.job("flaky", retry=Retry(max_retries=1, base_seconds=10, jitter=0))
    async def flaky() -> None:
        await trio.sleep(0.12)
        raise ValueError("no")

    job = await rig.queue.submit("flaky")
    await trio.sleep(0.11)
    assert (await rig.queue.cancel(job.id)).status == "cancelled"
    await end(rig)


@pytest.mark.parametrize("outlasts", [False, True])
async def test_an_attempt_that_takes_too_long_is_ended_once(
    outlasts: bool, registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Whether its handler gives in, or ends while the store keeps that it did not."""
    rig = await settling(make_rig)

    @registry.job("slow", timeout=1, retry=Retry(max_retries=0))
    async def slow() -> None:
        with trio.CancelScope(shield=outlasts):
            await trio.sleep(3 + COMMIT_SECONDS / 2)

    job = await until_ended(rig, (await rig.queue.submit("slow")).id)
    assert (job.status, len(job.attempts)) == ("failed", 1)
    assert (job.error or "").startswith("TimeoutError")
    await trio.sleep(1)
    assert len(endings(rig, job.id)) == 1
    await end(rig)


async def test_all_jobs_of_a_type_are_called_off(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The one that runs and those that wait."""
    rig = await settling(make_rig)

    @registry.job("long")
    async def long() -> None:
        await trio.sleep(30)

    jobs = [await rig.queue.submit("long") for _ in range(3)]
    await trio.sleep(0.01)
    answer = await rig.queue.cancel_all("long")
    assert (answer.cancelled, answer.interrupted) == (2, 1)
    for job in jobs:
        assert (await until_ended(rig, job.id)).status == "cancelled"
    await end(rig)


async def test_a_drain_waits_until_all_is_kept(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """No job is left behind whose end was only on its way."""
    rig = await settling(make_rig)

    @registry.job("short", concurrency=1)
    async def short() -> None: ...

    jobs = [await rig.queue.submit("short") for _ in range(20)]
    rig.engine.drain(60)
    await trio.sleep(30)
    assert rig.engine.outcome == "drained"
    assert {(await rig.queue.get(job.id)).status for job in jobs} == {"completed"}
    close(rig)


async def test_a_stop_leaves_each_job_with_one_end(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Whatever was on its way then."""
    rig = await settling(make_rig)

    @registry.job("long")
    async def long(seconds: float) -> None:
        await trio.sleep(seconds)

    for seconds in (0, 0.06, 30, 30):
        await rig.queue.submit("long", seconds)
    await trio.sleep(0.07)
    rig.engine.stop("second_signal")
    await trio.sleep(10)
    close(rig)
