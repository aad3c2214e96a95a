"""Whatever is done to jobs, whenever commits fail and the process dies: all is as in memory.

The store in memory is the model. What a client is refused it asks for again, as clients should.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
import trio
from hypothesis import given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from job_service.errors import AlreadyFinished, JobServiceError, StoreUnavailable
from job_service.jobs.state.attempt_transitions import complete, rescue
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft
from job_service.jobs.state.views import Cancellations
from job_service.stores.sqlite.job_file import JobFile
from tests.stores.conftest import open_memory_store, opened
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.test_any_history import Act, Submit, acts, submits
from tests.stores.workshop import How, Workshop

CAPACITY = 4
MAX_LOSSES = 3

WAITING_EMAILS = JobFilter(types=("email",), statuses=("pending",))


@dataclass(frozen=True)
class Failures:
    """So many of the next commits fail."""

    commits: int


@dataclass(frozen=True)
class Crash:
    """The process dies, perhaps while the disk is full and changes wait for it."""

    in_trouble: bool


failures = st.builds(Failures, st.integers(1, 3))
crashes = st.builds(Crash, st.booleans())
Step = Submit | Act | Failures | Crash
histories = st.lists(st.one_of(submits, acts, acts, failures, crashes), max_size=25)


class Twins:
    """The same is done to a store in memory and to one in a file, which has the same ids."""

    def __init__(self, model: Workshop, stack: AsyncExitStack, path: Path) -> None:
        self.model = model
        self.stack = stack
        self.path = path
        self.real: Workshop
        self.number = 0  # of the newest id
        self.failing = 0  # commits
        self.ids: list[str] = []
        self.keyed: list[tuple[str, list[Draft]]] = []

    def new_id(self) -> str:
        """In the place of a random one."""
        self.number += 1
        return f"{self.number:08x}-0000-7000-8000-000000000000"

    async def open(self) -> None:
        """Start the process that has the file."""
        shop = opened_file(
            self.path,
            start_at=self.model.seconds,
            capacity=CAPACITY,
            retain=100,
            max_losses=MAX_LOSSES,
        )
        self.real = await self.stack.enter_async_context(shop)

    async def take(self, step: Step) -> None:
        """Do it to both, and compare all that they tell."""
        note(str(step))
        match step:
            case Failures():
                self.failing = step.commits
            case Crash():
                await self.crash(in_trouble=step.in_trouble)
            case Submit():
                await self.submit(step)
            case Act(what="time passes"):
                self.model.seconds += step.which
                self.real.seconds += step.which
            case Act(what="close"):
                pass
            case Act(what="repeat"):
                if self.keyed:
                    key, drafts = self.keyed[step.which % len(self.keyed)]
                    await self.ask(partial(submit, drafts=drafts, key=key))
            case Act() if self.ids:
                await self.act(step.what, self.ids[-1 - step.which % len(self.ids)])
        await self.compare()

    async def submit(self, step: Submit) -> None:
        """One job or more."""
        drafts = [
            Draft(job_type, b"{}", 3, unique_key=key, after=after)
            for job_type, key, number in step.drafts
            for after in [
                () if number is None or not self.ids else (self.ids[-1 - number % len(self.ids)],)
            ]
        ]
        key = f"key-{len(self.keyed)}" if step.with_key else None
        answer = await self.ask(partial(submit, drafts=drafts, key=key))
        if isinstance(answer, list):
            self.ids += [job.id for job in answer if job.id not in self.ids]
            if key is not None:
                self.keyed.append((key, drafts))

    async def act(self, what: str, job_id: str) -> None:
        """Whatever it is, if the job is in a state for it."""
        match what:
            case "ready" | "start":
                if job_id in self.model.waiting:
                    for shop in (self.model, self.real):
                        await (shop.make_ready(job_id) if what == "ready" else shop.start(job_id))
            case "call off":
                await self.ask(lambda shop: shop.store.cancel(job_id, "requested"))
            case "call off all":
                await self.ask(lambda shop: shop.store.cancel_all(WAITING_EMAILS, "requested"))
            case "run again":
                answer = await self.ask(lambda shop: shop.store.run_again(job_id))
                if not isinstance(answer, type) and answer.id not in self.ids:
                    self.ids.append(answer.id)
            case _:
                if job_id in self.model.running:
                    for shop in (self.model, self.real):
                        await shop.end(job_id, cast("How", what))

    async def ask(self, call: Callable[[Workshop], Awaitable[Any]]) -> Any:
        """What both answer."""
        number = self.number
        expected = await answer_of(call(self.model))
        self.number = number
        answer = await answer_of(call(self.real))
        if answer is not StoreUnavailable:
            assert answer == expected
            return expected
        await self.real.store.settled()
        while self.real.store.trouble is not None:
            await trio.sleep(0.01)
        self.number = number
        again = await answer_of(call(self.real))
        # What calls jobs off is not withdrawn: it was done the first time.
        assert again == expected or again is AlreadyFinished or isinstance(again, Cancellations)
        return expected

    async def crash(self, *, in_trouble: bool) -> None:
        """The process dies, and another one starts with what it has left."""
        self.failing = 0
        if in_trouble:
            self.failing = 1_000_000
            number = self.number
            for job, attempt in self.real.running.values():
                self.real.store.apply(complete(job, attempt, b"1", self.real.clock))
            await answer_of(self.real.submit(key="unanswered"))
            await answer_of(self.real.store.cancel_all(JobFilter(types=("email",)), "too late"))
            self.number = number
        copy = as_after_a_crash(self.path)
        await self.stack.aclose()
        self.failing = 0
        self.path = copy
        await self.open()
        was_alone = len(self.model.running) == 1
        for job_id, (job, _) in sorted(self.model.running.items()):
            lost = rescue(job, self.model.clock, MAX_LOSSES, was_alone=was_alone)
            self.model.store.apply(lost)
            del self.model.running[job_id]
            if job.status == "pending":
                self.model.waiting[job_id] = job

    async def compare(self) -> None:
        """Both tell the same of each job."""
        self.failing = min(self.failing, 3)
        await self.real.store.settled()
        while self.real.store.trouble is not None:
            await trio.sleep(0.01)
        assert await self.real.everything() == await self.model.everything()
        for job_id in self.ids:
            assert await self.real.store.get(job_id) == await self.model.store.get(job_id)
        assert self.real.waiting.keys() == self.model.waiting.keys()
        assert self.real.running.keys() == self.model.running.keys()
        assert await self.real.store.counts() == {
            job_type: numbers
            for job_type, numbers in (await self.model.store.counts()).items()
            if any(numbers.values())
        }
        await self.real.check()


async def submit(shop: Workshop, drafts: list[Draft], key: str | None) -> list[Any]:
    """All of them, or none."""
    return await shop.submit(*drafts, key=key)


async def answer_of(call: Awaitable[Any]) -> Any:
    """What it gives, or the kind of its error."""
    try:
        return await call
    except JobServiceError as error:
        return type(error)


async def live_through(history: list[Step]) -> None:
    """Take these steps."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        async with AsyncExitStack() as stack, opened(open_memory_store, capacity=CAPACITY) as model:
            twins = Twins(model, stack, Path(folder) / "jobs.db")
            write = JobFile.write

            def write_or_fail(file: JobFile, batch: Any, retain: int | None = None) -> Any:
                if twins.failing:
                    twins.failing -= 1
                    raise sqlite3.OperationalError("disk I/O error")
                return write(file, batch, retain)

            patch.setattr(JobFile, "write", write_or_fail)
            patch.setattr("uuid_utils.uuid7", twins.new_id)
            await twins.open()
            for step in history:
                await twins.take(step)
            await twins.take(Crash(in_trouble=False))


@pytest.mark.slow
@settings(max_examples=60)
@given(history=histories)
def test_any_history_is_as_in_memory(history: list[Step]) -> None:
    """Each answer, and all that is kept, whatever fails on the way."""
    trio.run(live_through, history, clock=MockClock(autojump_threshold=0))
