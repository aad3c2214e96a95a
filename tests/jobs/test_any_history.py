"""Whatever clients ask for, and in whatever order, the service keeps its rules and its books."""

from collections import Counter

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service.jobs.state.model import TERMINAL
from job_service.telemetry.events import JobAbandoned, WorkerStopped
from tests.conftest import Rig
from tests.jobs.client import Client
from tests.jobs.ledger import READY, RUNS, WAITS, Ledger
from tests.jobs.steps import at_once, check_the_end
from tests.jobs.strategies import (
    LIMITS,
    LINGERING_SECONDS,
    LONG_ENOUGH,
    End,
    Step,
    TimePasses,
    ends,
    job_types,
    lives,
)
from tests.jobs.virtual_time import VIRTUAL, moment

CAPACITY = 4
EVERYTHING = 1_000
LONGEST_WORK = 1_000.0
STATES = {"pending": (WAITS, READY), "processing": (RUNS,)}
REASONS = {"grace_over", "second_signal", "not_due_in_time", "paused", "waits_for_jobs"}


class History:
    """What is done to one engine, step by step, and checked after each of them."""

    def __init__(self, rig: Rig, workers: int) -> None:
        self.rig = rig
        self.ledger = Ledger(workers=workers, capacity=CAPACITY, limits=LIMITS)
        self.client = Client(rig, self.ledger)
        self.excuses = REASONS  # to leave a job behind
        self.ends_by = moment(0)

    async def take(self, step: Step) -> None:
        """Whatever it is, what is told of the jobs afterwards is consistent."""
        if isinstance(step, TimePasses):
            await self.client.take(step)
        else:  # so that what the client expects is what there is when it asks
            at_once(self.client.take(step))
        at_once(self.check_the_books())
        if isinstance(step, TimePasses) and not self.ledger.is_ending:
            busy = [view for view in self.rig.engine.workers() if view.state == "busy"]
            self.ledger.nothing_is_overlooked(VIRTUAL.now(), len(busy))

    async def check_the_books(self) -> None:
        """The metrics, the views, the list of jobs and the log tell the same."""
        self.ledger.read(self.rig.record.events)
        jobs = self.ledger.jobs
        states = Counter(job.state for job in jobs.values())
        now, view = self.rig.snapshot(), await self.rig.queue.view()
        assert now.jobs_pending == view.pending == states[WAITS] + states[READY]
        assert now.jobs_ready == view.ready == states[READY]
        assert now.jobs_in_progress == view.processing == states[RUNS]
        assert view.later + view.blocked == states[WAITS]
        assert (now.jobs_claimed, now.jobs_released) == (0, 0)  # memory has no jobs of its own
        assert (view.oldest_ready_seconds is None) == (view.ready == 0)
        for name in ("pending", "ready", "processing"):
            assert sum(getattr(each, name) for each in view.types) == getattr(view, name), name
        ages = [each.oldest_ready_seconds or 0.0 for each in view.types if each.ready]
        assert max(ages, default=None) == view.oldest_ready_seconds
        assert (now.queue_paused, now.job_types_paused) == (view.paused, len(view.paused_types))
        told = self.ledger.told
        for kind in ("created", "completed", "failed", "cancelled", "abandoned", "retried"):
            assert getattr(now, f"jobs_{kind}") == told[f"job_{kind}"], kind
        assert (now.jobs_snoozed, now.jobs_deduplicated) == (
            told["job_snoozed"],
            told["job_duplicate"],
        )
        listed = await self.rig.queue.list(limit=EVERYTHING)
        for job in listed:
            assert jobs[job.id].state in STATES.get(job.status, (f"job_{job.status}",))
        assert {job.id for job in listed} >= {job.id for job in jobs.values() if not job.has_ended}
        by_type = Counter((job.type, job.status) for job in listed)
        for each in await self.rig.queue.types():
            for status in ("pending", "processing", *TERMINAL):
                assert getattr(each, status) == by_type[each.type, status]

    async def end(self, end: End) -> None:
        """Drain, and perhaps stop, with a few steps more between."""
        self.ledger.is_ending = True
        self.rig.engine.drain(end.grace)
        longest = LONG_ENOUGH if self.client.has_endless_jobs else LONGEST_WORK
        ends_by = trio.current_time() + min(end.grace, longest)
        was_paused = bool(self.ledger.paused)
        for step in end.meanwhile:
            await self.take(step)
            was_paused |= bool(self.ledger.paused)
        if end.is_cut_short:
            ends_by = min(ends_by, trio.current_time())
            self.rig.engine.stop("second_signal")
        elif end.grace == LONG_ENOUGH:
            self.excuses = {"paused", "waits_for_jobs"} if was_paused else set()
            if self.client.has_endless_jobs:  # and perhaps others that come after them
                self.excuses |= {"grace_over", "waits_for_jobs"}
        self.ends_by = moment(ends_by + LINGERING_SECONDS)

    async def check_the_end(self) -> None:
        """Each job has ended, once; nothing is left in the books; and it was in time."""
        check_the_end(self.rig)
        at_once(self.check_the_books())
        assert set(self.ledger.jobs) == set(self.client.ids)
        assert self.ledger.in_state(WAITS, READY, RUNS) == []
        assert {event.reason for event in self.rig.record.of(JobAbandoned)} <= self.excuses
        assert self.rig.record.of(WorkerStopped)[-1].timestamp <= self.ends_by
        assert self.rig.store._live.index._holders == {}


@pytest.mark.slow
@settings(max_examples=100)
@given(
    life=lives,
    end=ends,
    workers=st.integers(1, 3),
    retain=st.sampled_from([0, 3, EVERYTHING]),
)
def test_any_history_is_in_order(life: list[Step], end: End, workers: int, retain: int) -> None:
    """Each step is answered as it must be, and after each of them all that is told agrees."""

    async def live_through_it() -> None:
        async with trio.open_nursery() as nursery:
            rig = Rig(
                *(nursery, job_types()),
                clock=VIRTUAL,
                workers=workers,
                queue_capacity=CAPACITY,
                retain=retain,
            )
            history = History(rig, workers)
            await rig.start()
            for step in life:
                await history.take(step)
            await history.end(end)
        await history.check_the_end()

    trio.run(live_through_it, clock=trio.testing.MockClock(autojump_threshold=0))
