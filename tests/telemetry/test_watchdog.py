"""Stalls are named: what blocks the loop is in the log while it lasts, with its place and job."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import trio
from msgspec import UNSET

from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.running.worker import job_of_frame
from job_service.telemetry.events import Event, JobCompleted, LoopStalled
from job_service.telemetry.watchdog import Watchdog
from tests.conftest import Rig

MakeRig = Callable[..., Rig]

THRESHOLD = 0.2
STALL = 3 * THRESHOLD


class Watched:
    """What a watchdog says while it lasts, with the moments, and what it says afterwards."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.warnings: list[LoopStalled] = []
        self.warned_at: list[float] = []
        self.over: list[LoopStalled] = []
        self.threads: set[int] = set()
        self._emit = emit

    def warn(self, event: Event) -> None:
        """Called while a stall lasts."""
        assert isinstance(event, LoopStalled)
        self.warned_at.append(time.monotonic())
        self.warnings.append(event)

    def emit(self, event: Event) -> None:
        """Called when it is over."""
        assert isinstance(event, LoopStalled)
        self.threads.add(threading.get_ident())
        self.over.append(event)
        self._emit(event)

    async def until_over(self, stalls: int = 1) -> None:
        """Wait until so many stalls are over."""
        with trio.fail_after(10):
            while len(self.over) < stalls:
                await trio.sleep(0.01)


@contextmanager
def watching(emit: Callable[[Event], None] = lambda _: None) -> Iterator[Watched]:
    """Watch the loop of the test."""
    watched = Watched(emit)
    with Watchdog(THRESHOLD, warn=watched.warn, emit=watched.emit, job_of_frame=job_of_frame):
        yield watched


def line_of(where: str) -> str:
    """The source line that an event names."""
    file, number = where.partition(" in ")[0].rsplit(":", 1)
    with open(file, encoding="utf-8") as source:  # noqa: PTH123
        return source.read().splitlines()[int(number) - 1].strip()


async def run_one(rig: Rig, job_type: str) -> str:
    """Run a job of this type to its end; its id."""
    await rig.start()
    with watching(rig.engine._emit) as watched:
        job = await rig.queue.submit(job_type)
        await watched.until_over()
        await rig.queue.wait(job.id, 10)
    rig.engine.drain(5)
    (first,), (last,) = watched.warnings, watched.over
    assert (first.over, last.over) != (True, True)
    for event in first, last:
        assert (event.job_id, event.job_type) == (job.id, job_type)
        assert re.fullmatch(r"worker-\d", str(event.worker_id))
    return last.where


async def test_a_blocking_handler_is_named_with_its_job_worker_and_line(
    registry: Registry, make_rig: MakeRig
) -> None:
    """The place is the handler's line, the job is the one that blocks, and it counts once."""

    @registry.job("block")
    async def block() -> None:
        time.sleep(STALL)  # noqa: ASYNC251 (it is what the test is about)

    rig = make_rig()
    where = await run_one(rig, "block")
    assert where.endswith("in block")
    assert line_of(where).startswith("time.sleep(STALL)")
    assert rig.snapshot().loop_stalls == 1
    assert len(rig.record.of(LoopStalled)) == 1


async def test_a_stall_is_logged_while_it_lasts_and_again_with_its_whole_time() -> None:
    """The first line comes at the threshold, from outside; the second, of the loop, when over."""
    with watching() as watched:
        began = time.monotonic()
        time.sleep(STALL)  # noqa: ASYNC251
        ended = time.monotonic()
        assert len(watched.warnings) == 1
        assert watched.over == []
        await watched.until_over()
    (warning,), (over,) = watched.warnings, watched.over
    assert began < watched.warned_at[0] < ended
    assert THRESHOLD <= warning.stalled_seconds < STALL
    assert over.stalled_seconds >= STALL
    assert over.where == warning.where
    assert over.over
    assert watched.threads == {threading.get_ident()}


async def test_what_no_job_does_is_named_by_its_place_alone() -> None:
    """A stall of anybody else's has a place and no job."""
    with watching() as watched:
        time.sleep(STALL)  # noqa: ASYNC251
        await watched.until_over()
    (stall,) = watched.over
    assert line_of(stall.where).startswith("time.sleep(STALL)")
    assert stall.job_id is stall.job_type is stall.worker_id is UNSET


async def test_the_blocking_job_is_told_from_those_that_run_beside_it(
    registry: Registry, make_rig: MakeRig
) -> None:
    """While other workers are busy, too, only the one whose handler blocks is named."""
    started = trio.Event()

    @registry.job("patient")
    async def patient() -> None:
        started.set()
        await trio.sleep(STALL)

    @registry.job("block")
    async def block() -> None:
        time.sleep(STALL)  # noqa: ASYNC251

    rig = make_rig(workers=2)
    await rig.start()
    with watching() as watched:
        await rig.queue.submit("patient")
        await started.wait()
        job = await rig.queue.submit("block")
        await watched.until_over()
    rig.engine.drain(5)
    assert [stall.job_id for stall in watched.over] == [job.id]


async def test_a_task_that_the_handler_started_is_its_jobs(
    registry: Registry, make_rig: MakeRig
) -> None:
    """A child task has no worker on its stack, and its job is found all the same."""

    async def child() -> None:
        await trio.lowlevel.checkpoint()
        time.sleep(STALL)  # noqa: ASYNC251

    @registry.job("parent")
    async def parent() -> None:
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as inner:
                inner.start_soon(child)
            outer.start_soon(trio.lowlevel.checkpoint)

    assert (await run_one(make_rig(), "parent")).endswith("in child")


async def test_native_code_that_keeps_the_interpreter_is_named(
    registry: Registry, make_rig: MakeRig
) -> None:
    """It is logged as soon as it lets go, with the line that called it."""
    items = list(range(3_000_000))

    @registry.job("native")
    async def native() -> None:
        ended = time.monotonic() + STALL
        while time.monotonic() < ended:
            sorted(items, key=float)

    where = await run_one(make_rig(), "native")
    assert line_of(where) in ("sorted(items, key=float)", "while time.monotonic() < ended:")


async def test_what_a_worker_does_for_a_job_is_its_jobs(
    registry: Registry, make_rig: MakeRig
) -> None:
    """Here its error takes long to tell, when the handler itself has ended."""

    class SlowError(Exception):
        def __str__(self) -> str:
            time.sleep(STALL)
            return "slow"

    @registry.job("slow_error", retry=Retry(max_retries=0))
    async def slow_error() -> None:
        raise SlowError

    assert (await run_one(make_rig(), "slow_error")).endswith("in __str__")


async def test_a_handler_that_blocks_in_a_library_is_named_by_its_own_line(
    registry: Registry, make_rig: MakeRig
) -> None:
    """Nobody wants to know which line of the standard library waits."""

    @registry.job("wait")
    async def wait() -> None:
        threading.Event().wait(STALL)

    where = await run_one(make_rig(), "wait")
    assert line_of(where) == "threading.Event().wait(STALL)"


async def test_a_handler_that_is_installed_is_named_as_well(
    registry: Registry, make_rig: MakeRig
) -> None:
    """If the job types are themselves in site-packages, the place is in the handler."""
    module: dict[str, Any] = {"threading": threading, "STALL": STALL}
    source = "async def handler():\n    threading.Event().wait(STALL)"
    exec(compile(source, "/venv/site-packages/jobs.py", "exec"), module)  # noqa: S102
    registry.job("installed")(module["handler"])

    where = await run_one(make_rig(), "installed")
    assert where == "/venv/site-packages/jobs.py:2 in handler"


async def test_a_quiet_loop_is_no_stall() -> None:
    """However long nothing happens: waiting is what a loop is for."""
    with watching() as watched:
        await trio.sleep(STALL)
        await trio.sleep(STALL)
    assert watched.warnings == watched.over == []


async def test_a_handler_that_blocks_a_thread_is_no_stall(
    registry: Registry, make_rig: MakeRig
) -> None:
    """A plain function may block as long as it likes."""

    @registry.job("thread")
    def thread() -> None:
        time.sleep(STALL)

    rig = make_rig()
    await rig.start()
    with watching() as watched:
        job = await rig.queue.submit("thread")
        await rig.queue.wait(job.id, 10)
    rig.engine.drain(5)
    assert len(rig.record.of(JobCompleted)) == 1
    # A busy machine may hold up the loop itself meanwhile, but not in that function.
    assert not [stall for stall in watched.warnings if __file__ in stall.where]


async def test_each_stall_has_events_of_its_own() -> None:
    """Two turns that are too long are two stalls, each with two events."""
    with watching() as watched:
        for stalls in (1, 2):
            time.sleep(STALL)  # noqa: ASYNC251
            await watched.until_over(stalls)
    assert len(watched.warnings) == len(watched.over) == 2


async def test_a_stall_that_lasts_to_the_end_is_over_there() -> None:
    """Whoever leaves the watch in the middle of a stall has heard of it when it is left."""
    with watching() as watched:
        time.sleep(STALL)  # noqa: ASYNC251
    assert len(watched.warnings) == len(watched.over) == 1


async def test_the_thread_ends_with_the_watch() -> None:
    """Nothing is left running, however the block is left."""
    before = threading.active_count()
    with suppress(KeyError), watching():
        assert threading.active_count() == before + 1
        raise KeyError
    assert threading.active_count() == before


async def test_two_watchdogs_in_one_run_both_see_it() -> None:
    """Each service of a program has its own, and tells its own log."""
    with watching() as left, watching() as right:
        time.sleep(STALL)  # noqa: ASYNC251
        await left.until_over()
        await right.until_over()
    assert len(left.warnings) == len(right.warnings) == 1
