"""A service without HTTP, in virtual time, as a test sees it."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Unpack

import msgspec
import trio
from msgspec import UNSET, structs
from trio.testing import active_thread_count

from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.engine import Engine
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.model import TERMINAL
from job_service.jobs.state.views import ScheduleView, WorkerView
from job_service.stores.memory import MemoryStore
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.log import Log
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.testing.assertions import story
from job_service.testing.moments import require_zone
from job_service.testing.stage import whole
from job_service.testing.ungrouped import ungrouped
from job_service.testing.virtual_time import clock_from, passing_time

START: Final = datetime(2026, 1, 1, tzinfo=UTC)  # the same in each run
LONGEST: Final = timedelta(days=30)
_CAPACITY: Final = 10_000
_SHOWN: Final = 10
_HOOKS_SECONDS: Final = 3_600.0  # that hooks for failures have at the end


class VirtualService:
    """A service in virtual time; see `virtual_service`.

    `queue` submits jobs, reads them, waits for them and cancels them.
    `log` has the lines of the log so far, each as a dict.
    `now` gives the date, `workers`, `schedules` and `metrics` what a RunningService gives.
    """

    def __init__(
        self,
        queue: JobQueue,
        log: list[dict[str, Any]],
        now: Callable[[], datetime],
        workers: Callable[[], list[WorkerView]],
        schedules: Callable[[], list[ScheduleView]],
        metrics: Callable[[], MetricsSnapshot],
    ) -> None:
        self.queue = queue
        self.log = log
        self.now = now
        self.workers = workers
        self.schedules = schedules
        self.metrics = metrics

    async def run(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        within: timedelta = LONGEST,
        scheduled_for: datetime | None = None,
        **options: Unpack[JobOptions],
    ) -> JobDetail:
        """Submit a job, wait until it has ended, retries and all, and give all there is to know.

        With `scheduled_for`, it is as if a schedule had made it at this tick. Raises what
        `JobQueue.submit` does, ValueError if the tick has no time zone, and AssertionError if the
        job has not ended `within` so much virtual time.
        """
        if scheduled_for is not None:
            require_zone("scheduled_for", scheduled_for)
        draft = self.queue.check(job_type, payload, **options)
        (job,) = await self.queue.submit_all([structs.replace(draft, scheduled_for=scheduled_for)])
        detail = await self.queue.wait(job.id, within.total_seconds())
        if detail.status not in TERMINAL:
            raise AssertionError(f"it has not ended within {within}. {story(detail)}")
        return detail

    async def wait_until_idle(self, within: timedelta = LONGEST) -> None:
        """Return when all jobs have ended, those that wait for a retry or a date among them.

        Raises AssertionError if some have not ended `within` so much virtual time.
        """
        with trio.move_on_after(within.total_seconds()) as scope:
            while left := await _unfinished(self.queue):
                await self.queue.wait(left[0].id, within.total_seconds())
        if scope.cancelled_caught:
            raise AssertionError(f"not idle within {within}. {await _what_is_left(self.queue)}")


@asynccontextmanager
async def virtual_service(
    registry: Registry,
    *,
    resources: Mapping[str, Any] | None = None,
    start: datetime = START,
    workers: int = 10,
) -> AsyncIterator[VirtualService]:
    """Run all of a registry but HTTP for the block, in the virtual time of the test.

    `resources` are fakes, by the names of the resources that they replace. The date is `start` at
    first: the first moment of 2026 in UTC, if it is left out. While all tasks wait, time jumps to
    what comes next: retries, delays, timeouts, dates and schedules. While a handler works in a
    thread or a process, time passes as it really does. Jitter shortens no wait.

    The service stops with the block: jobs that have not ended are abandoned, and if all have ended,
    their hooks for failures come to their end. An error of the block, such as a failed assertion,
    comes out as it is, and in no ExceptionGroup.

    Raises RuntimeError if the time of the test is real; ValueError if a fake has the name of no
    resource, or of one of processes; ResourceFailed if a resource can't be opened; and
    AssertionError if nothing can happen any more.
    """
    require_zone("start", start)
    clock = clock_from(start)
    log: list[dict[str, Any]] = []
    lines = Log(lambda line: log.append(msgspec.json.decode(line)), "json", "debug", now=clock.now)
    metrics = Metrics(_CAPACITY, clock.monotonic)
    emit = Emitter(metrics, lines).emit
    store = MemoryStore(emit, clock, capacity=_CAPACITY, retain=_CAPACITY)
    stage = whole(registry, resources or {})
    engine = Engine(
        stage, store, emit, lines.logger, workers=workers, random_source=_WithoutJitter()
    )

    def is_working() -> bool:
        return active_thread_count() > 0 or any(
            worker.job_type is not None and stage.lookup(worker.job_type).runs_in != "loop"
            for worker in engine.workers()
        )

    what_is_left = partial(_what_is_left, engine.queue)
    service = VirtualService(
        engine.queue,
        log,
        clock.now,
        engine.workers,
        engine.queue.schedules.views,
        metrics.snapshot,
    )
    raised = list[BaseException]()
    with ungrouped(own=raised):
        async with passing_time(is_working, what_is_left), trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            try:
                yield service
            except BaseException as error:
                raised.append(error)
                engine.stop("the test has failed")
                raise
            if store.pending or store.processing:
                engine.stop("the test ends")
            else:
                engine.drain(_HOOKS_SECONDS)


class _WithoutJitter(random.Random):
    """Takes nothing from any wait."""

    def random(self) -> float:
        """Always none."""
        return 0.0


async def _unfinished(queue: JobQueue) -> list[JobSummary]:
    return [
        *await queue.list(status="processing", limit=_SHOWN),
        *await queue.list(status="pending", limit=_SHOWN),
    ]


async def _what_is_left(queue: JobQueue) -> str:
    """The jobs that have not ended, and why those that wait do."""
    lines = ["Every job has ended." if not (left := await _unfinished(queue)) else "Not ended:"]
    for job in left:
        why = (await queue.get(job.id)).waits_because
        lines.append(f"  {job.type} {job.id}: {job.status}{f' ({why})' if why else ''}")
    return "\n".join(lines)
