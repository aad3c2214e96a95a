"""Whatever is done to the jobs of a store, and in whatever order: all that it tells agrees."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import cast, get_args

import pytest
import trio
import trio.testing
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from job_service import Draft
from job_service.errors import (
    AlreadyFinished,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    UnknownJob,
    UnknownPredecessor,
    WaitsForJobs,
)
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Edit
from tests.stores.conftest import KEEP_NOTHING, STORES, opened
from tests.stores.postgres.cluster import why_there_is_none
from tests.stores.workshop import How, Workshop

CAPACITY = 4
RETAIN = 3

# What a log may say next of a job; nothing after an end.
NEXT = {
    "created": {"edited", "enqueued", "cancelled", "failed", "abandoned"},
    "edited": {"edited", "enqueued", "started", "cancelled", "failed", "abandoned"},
    "enqueued": {"edited", "started", "cancelled", "abandoned"},
    "started": {"completed", "failed", "retried", "snoozed", "cancelled", "abandoned"},
    "retried": {"edited", "enqueued", "cancelled", "abandoned"},
    "snoozed": {"edited", "enqueued", "cancelled", "abandoned"},
}
STATUS = {"created": "pending", "enqueued": "pending", "started": "processing"}
STATUS |= {"retried": "pending", "snoozed": "pending", "edited": "pending"}

WAITING_EMAILS = JobFilter(types=("email",), statuses=("pending",))


@dataclass(frozen=True)
class Submit:
    """One job or more; `after` counts from the newest job that there was."""

    drafts: tuple[tuple[str, str | None, int | None], ...]
    with_key: bool


@dataclass(frozen=True)
class Act:
    """Something happens to one of the jobs that there have been."""

    what: str
    which: int


submits = st.builds(
    Submit,
    st.lists(
        st.tuples(
            st.sampled_from(["email", "letter"]),
            st.sampled_from([None, None, "a", "b"]),
            st.sampled_from([None, None, 0, 2]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.booleans(),
)
acts = st.builds(
    Act,
    st.sampled_from(
        [
            *("ready", "ready", "ready", "start", "start", "start", *get_args(How), *get_args(How)),
            *("call off", "edit", "put off", "run now", "call off all", "run again", "repeat"),
            *("time passes", "close"),
        ]
    ),
    st.integers(0, 9),
)
histories = st.lists(st.one_of(submits, acts), max_size=30)


class History:
    """What has been done to one store, and what to expect of it."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.store = shop.store
        self.ids: list[str] = []
        self.keyed: list[tuple[str, list[Draft], list[str]]] = []
        self.is_closed = False

    async def take(self, step: Submit | Act) -> None:
        """Do it, and check the answer."""
        note(str(step))
        if isinstance(step, Submit):
            await self.submit(step)
        elif step.what == "close":
            self.store.close()
            self.is_closed = True
        elif step.what == "time passes":
            self.shop.seconds += step.which
        elif step.what == "repeat":
            if self.keyed:
                await self.repeat(*self.keyed[step.which % len(self.keyed)])
        elif self.ids:
            await self.act(step.what, self.ids[-1 - step.which % len(self.ids)])
        await self.store.settled()

    async def submit(self, step: Submit) -> None:
        """All of it is admitted, or none."""
        drafts = [
            Draft(job_type, b"{}", 3, unique_key=key, after=after)
            for job_type, key, number in step.drafts
            for after in [self.after(number)]
        ]
        before = await self.shop.everything()
        pending = (await self.store.view()).pending
        held = {(job.type, job.unique_key): job.id for job in before if job.status not in TERMINAL}
        new = self.without_duplicates(drafts, set(held))
        kept = {job.id for job in before}
        key = f"key-{len(self.keyed)}" if step.with_key else None
        try:
            jobs = await self.shop.submit(*drafts, key=key)
        except UnknownPredecessor:
            assert not {job_id for draft in new for job_id in draft.after} <= kept
        except QueueClosed:
            assert self.is_closed
        except QueueFull:
            assert len(new) > CAPACITY - pending
        else:
            assert not new or (len(new) <= CAPACITY - pending and not self.is_closed)
            made = list(dict.fromkeys(job.id for job in jobs if not job.duplicate))
            assert len(made) == len(new)
            for job, draft in zip(jobs, drafts, strict=True):
                if job.duplicate:
                    assert job.id in (held.get((draft.type, draft.unique_key)), *made)
            self.ids += made
            if key is not None:
                self.keyed.append((key, drafts, [job.id for job in jobs]))
            return
        assert await self.shop.everything() == before, "nothing has changed"

    def without_duplicates(
        self, drafts: list[Draft], held: set[tuple[str, str | None]]
    ) -> list[Draft]:
        """Those that become jobs, if these keys are held before.

        One that fails at once, because of its predecessor, does not keep its key.
        """
        new = []
        for draft in drafts:
            if draft.unique_key is not None and (draft.type, draft.unique_key) in held:
                continue
            new.append(draft)
            ended = {self.status_of(job_id) for job_id in draft.after} & TERMINAL
            if draft.unique_key is not None and ended <= {"completed"}:
                held.add((draft.type, draft.unique_key))
        return new

    def after(self, number: int | None) -> tuple[str, ...]:
        """The job that a draft is to come after, if any."""
        if number is None or not self.ids:
            return ()
        return (self.ids[-1 - number % len(self.ids)],)

    async def repeat(self, key: str, drafts: list[Draft], ids: list[str]) -> None:
        """It makes no job, and tells of each as it has become."""
        jobs = await self.shop.submit(*drafts, key=key)
        assert [job.id for job in jobs] == ids
        for job in jobs:
            assert job.replayed
            assert job.status == self.status_of(job.id)

    async def act(self, what: str, job_id: str) -> None:
        """Whatever it is, if the job is in a state for it."""
        match what:
            case "ready":
                if job_id in self.shop.waiting:
                    await self.shop.make_ready(job_id)
            case "start":
                if job_id in self.shop.waiting:
                    number = (await self.shop.start(job_id)).number
                    assert number == self.shop.told(job_id).count("started")
            case "call off":
                await self.call_off(job_id)
            case "edit" | "put off" | "run now":
                await self.edit(job_id, self.edit_named(what))
            case "call off all":
                done = await self.store.cancel_all(WAITING_EMAILS, "requested")
                assert done.interrupted == 0
                assert (await self.store.counts()).get("email", {"pending": 0})["pending"] == 0
            case "run again":
                await self.run_again(job_id)
            case _:
                if job_id in self.shop.running:
                    await self.shop.end(job_id, cast("How", what))

    async def call_off(self, job_id: str) -> None:
        """It has ended, or is being interrupted."""
        try:
            job = await self.store.cancel(job_id, "requested")
        except (AlreadyFinished, UnknownJob):
            assert self.status_of(job_id) in TERMINAL
        else:
            assert job.status in ("cancelled", "processing")
            assert job.cancel_requested == (job_id in self.shop.running)

    def edit_named(self, what: str) -> Edit:
        """What a client wants to be changed."""
        if what == "edit":
            return Edit(priority=len(self.ids) % 10, payload=b"[]")
        if what == "put off":
            return Edit(run_at=self.shop.now() + timedelta(seconds=9))
        return Edit(run_now=True)

    async def edit(self, job_id: str, wanted: Edit) -> None:
        """It is as it is wanted, if it waits."""
        try:
            job = await self.store.edit(job_id, wanted)
        except UnknownJob:
            assert job_id not in {job.id for job in await self.shop.everything()}
        except NotPending:
            assert self.status_of(job_id) != "pending"
        except WaitsForJobs:
            assert wanted.run_now
            assert job_id not in self.shop.waiting
        else:
            assert self.status_of(job_id) == job.status == "pending"
            assert wanted.priority in (None, job.priority)
            assert wanted.run_at in (None, job.run_at)
            assert wanted.payload in (None, bytes(job.payload))

    async def run_again(self, job_id: str) -> None:
        """It has ended, and a new one like it is made."""
        try:
            job = await self.store.run_again(job_id)
        except NotFinished:
            assert self.status_of(job_id) not in TERMINAL
        except UnknownJob:
            assert job_id not in {job.id for job in await self.shop.everything()}
        except QueueClosed:
            assert self.is_closed
        except QueueFull:
            assert (await self.store.view()).pending >= CAPACITY
        else:
            assert self.status_of(job_id) in TERMINAL
            if not job.duplicate:
                self.ids.append(job.id)

    def told(self, job_id: str) -> list[str]:
        """What a log says of the job's way."""
        return [event for event in self.shop.told(job_id) if event != "duplicate"]

    def status_of(self, job_id: str) -> str:
        """As a reader of the log has it."""
        last = self.told(job_id)[-1]
        return STATUS.get(last, last)

    async def check(self) -> None:
        """The log is in order, and the store tells of each job what the log does."""
        await self.shop.check()
        for job_id in self.ids:
            told = self.told(job_id)
            assert told[0] == "created"
            for event, following in pairwise(told):
                assert following in NEXT.get(event, set()), "an end is final"
        kept = await self.shop.everything()
        ended = [job for job in kept if job.status in TERMINAL]
        assert len(ended) <= RETAIN
        unfinished = [each for each in self.ids if self.status_of(each) not in TERMINAL]
        assert {job.id for job in kept} == {*unfinished, *(job.id for job in ended)}
        for job in kept:
            assert job.status == self.status_of(job.id)
            detail = await self.store.get(job.id)
            numbers = [attempt.attempt for attempt in detail.attempts]
            assert numbers == sorted(set(numbers))
            assert job.attempt == self.shop.told(job.id).count("started")
            assert (detail.status, detail.attempt) == (job.status, job.attempt)
            if job.status == "pending" and job.id not in self.shop.waiting:
                awaited = {self.status_of(each) for each in detail.after}
                assert not awaited <= TERMINAL - {"abandoned"}, "nothing more to wait for"
        statuses = Counter(self.status_of(each) for each in self.ids)
        now = self.shop.metrics.snapshot()
        for status in TERMINAL:
            assert getattr(now, f"jobs_{status}") == statuses[status]
        assert {*statuses} <= TRANSITIONS.keys()


async def live_through(store: str, history: list[Submit | Act]) -> None:
    """Take these steps, and at the end leave nothing behind without an end, if nothing is kept."""
    async with opened(STORES[store], capacity=CAPACITY, retain=RETAIN) as shop:
        life = History(shop)
        for step in history:
            await life.take(step)
            await life.check()
        if store in KEEP_NOTHING:
            shop.store.leave_behind(lambda _: "grace_over")
            await life.check()
            view = await shop.store.view()
            assert (view.pending, view.processing, view.blocked) == (0, 0, 0)


# An attempt that was called off has ended as if it had not been, and the job waits again.
CALLED_OFF_IN_VAIN = [
    Submit((("email", None, None),), with_key=False),
    Act("start", 0),
    Act("call off", 0),
    Act("retry", 0),
    Act("call off all", 0),
]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@settings(max_examples=150)
@given(history=histories)
@example(history=CALLED_OFF_IN_VAIN)
def test_any_history_is_in_order(store: str, history: list[Submit | Act]) -> None:
    """Each step is answered as it must be, and after each of them all that is told agrees."""
    live(store, history)


@pytest.mark.slow
@pytest.mark.skipif(why_there_is_none() is not None, reason=why_there_is_none() or "")
@settings(max_examples=30)
@given(history=histories)
def test_any_history_is_in_order_on_a_server(history: list[Submit | Act]) -> None:
    """As with the other stores; fewer histories, because each takes a new database."""
    live("postgres", history)


def live(store: str, history: list[Submit | Act]) -> None:
    """Take these steps with a new store."""
    run = partial(live_through, store, history)
    # Virtual time would not wait for a disk, but go on to what is done every minute.
    virtual = trio.testing.MockClock(autojump_threshold=0)
    trio.run(run, clock=virtual if store in KEEP_NOTHING else None)
