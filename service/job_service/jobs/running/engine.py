"""The job engine: one queue, its dispatcher and its workers, as one thing to run and to stop."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio
from structlog.typing import FilteringBoundLogger

from job_service.failures.exception_groups import is_cancellation
from job_service.jobs.queueing.dispatcher import Dispatcher
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.queueing.scheduler import Scheduler
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.calls import Calls, open_calls
from job_service.jobs.running.cancellation import CLEANUP_SECONDS, CancellationDeadline
from job_service.jobs.running.crew import Crew
from job_service.jobs.running.failure_hooks import FailureHooks
from job_service.jobs.running.threads import Threads
from job_service.jobs.running.verdict import Verdicts
from job_service.jobs.running.worker import Worker
from job_service.jobs.state.model import Job
from job_service.jobs.state.views import WorkerView
from job_service.stores.contract import Store
from job_service.telemetry.events import (
    Event,
)

if TYPE_CHECKING:
    from job_service.jobs.running.asyncio_thread import WatchTurns

NOW: Final = -math.inf  # a deadline that has passed
SETTLING_SECONDS: Final = 3.0  # that the store has to keep what it was told last: disks do stall
CLOSING_SECONDS: Final = 1.0  # that resources have when the jobs were not left to end


class Engine:
    """Assembles the rooms a job goes through; `queue` is the way in.

    `starts_per_second` tells how many jobs of each type have begun a second lately.

    Stopping it: `drain` lets it end by itself within a grace period, `stop` ends it now.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        emit: Callable[[Event], None],
        log: FilteringBoundLogger,
        *,
        workers: int,
        max_abandoned_threads: int = 100,
        watch_asyncio: "WatchTurns | None" = None,
        random_source: random.Random | None = None,
        starts_per_second: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._registry = registry
        self._store = store
        self._emit = emit
        self._log = log
        self._workers = workers
        self._watch_asyncio = watch_asyncio
        self._clock = store.clock
        self._threads = Threads(emit, self._clock, max_abandoned=max_abandoned_threads)
        self._failure_hooks = FailureHooks(registry, emit, self._clock)
        self._dispatcher = Dispatcher(
            registry,
            store,
            lambda: self._threads.awaited,
            self._failure_hooks.job_failed,
            starts_per_second,
        )
        self._verdicts = Verdicts(
            self._clock,
            lambda: self.outcome,
            self._failure_hooks.expect,
            random_source or random.Random(),
            keeps=store.is_durable,
        )
        self._cancellation_deadline = CancellationDeadline()
        self._crew = Crew(emit, self._clock, self._note_crash)
        self._scope = trio.CancelScope()
        self._resource_scope = trio.CancelScope()  # around the other: they outlive the jobs
        self._started = False
        self._drained = False
        self._crashed = False
        self._crash: BaseException | None = None
        self._stop_reason: str | None = None
        self.jobs_must_end = trio.Event()  # they were cancelled, for whatever reason
        self.queue = JobQueue(registry, store)
        self._scheduler = Scheduler(self.queue.schedules, store, emit)

    @property
    def jobs_bytes(self) -> int:
        """What the texts of all jobs take: payloads, results, errors and tracebacks."""
        return self._store.weight

    @property
    def oldest_ready(self) -> float | None:
        """When the job that has waited longest for a worker became ready; None if none waits."""
        return self._dispatcher.oldest_ready

    @property
    def started(self) -> bool:
        """Whether workers have run; false until all resources are open."""
        return self._started

    @property
    def accepting(self) -> bool:
        """Whether workers run and submissions are taken."""
        return self._started and self._dispatcher.is_open

    @property
    def outcome(self) -> str:
        """How it ended: `drained`, `crashed`, `grace_over`, or the reason given to `stop`.

        It is `cancelled` if the task that runs it was cancelled.
        """
        if self._crashed:
            return "crashed"
        if self._drained:
            return "drained"
        if self._stop_reason is not None:
            return self._stop_reason
        if not self._scope.cancel_called:
            return "cancelled"
        return "grace_over" if self._started else "drained"  # nothing was there to be drained

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the resources and run jobs until drained or stopped.

        A crash of any part, or of a resource, ends it with the error, which is a ResourceFailed
        if one can't be opened. However it ends, no job is left pending or processing: what was
        not run is abandoned. Stopped before the resources were open, it returns without having
        started.
        """
        try:
            with self._ending(), self._resource_scope:
                async with open_calls(
                    self._registry,
                    self._threads,
                    self._log,
                    self._watch_asyncio,
                    self._bound_closing,
                ) as calls:
                    with self._ending(), self._scope:
                        async with self._failure_hooks.open(calls.resources, self._store.settled):
                            await self._store.recover()
                            await self._run_workers(calls, task_status)
        finally:
            await self.settle()
        if self._crash is not None:  # a resource that was cut short has put itself in its place
            raise self._crash

    async def _run_workers(
        self,
        calls: Calls,
        task_status: trio.TaskStatus[None],
    ) -> None:
        to_workers, from_dispatcher = trio.open_memory_channel[Job](self._workers)
        async with self._crew.open() as nursery:
            with from_dispatcher:
                for number in range(1, self._workers + 1):
                    jobs = from_dispatcher.clone()
                    await nursery.start(self._worker(number, jobs, calls))
            self._started = True
            task_status.started()
            try:
                async with trio.open_nursery() as beside:
                    beside.start_soon(self._schedule)
                    beside.start_soon(self._cancellation_deadline.run)
                    await self._dispatcher.run(to_workers)
                    self._threads.close()
                    beside.cancel_scope.cancel()
            except BaseException:
                self.jobs_must_end.set()
                raise
            self._drained = self._stop_reason is None  # else the dispatcher was told to leave

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Leave no job behind the block, and note when a crash ends it."""
        try:
            yield
        except BaseException as error:
            if not is_cancellation(error):
                self._crashed, self._crash = True, error
            raise
        finally:
            self._store.close()
            self._dispatcher.close(NOW)
            outcome = self.outcome
            self.abandon_the_rest("grace_over" if outcome == "drained" else outcome)

    def _bound_closing(self) -> None:
        self._resource_scope.shield = True  # whoever cancelled the jobs did not mean the resources
        if not self._drained:
            self._end_resources_in(CLOSING_SECONDS)

    @property
    def _cleanup_seconds(self) -> float:
        """How long jobs may clean up, if there can be any."""
        return CLEANUP_SECONDS if self._started and not self._drained else 0

    def _end_resources_in(self, seconds: float) -> None:
        deadline = trio.current_time() + seconds
        self._resource_scope.deadline = min(self._resource_scope.deadline, deadline)

    def drain(self, grace_seconds: float) -> None:
        """Take no more jobs; finish what is queued, and cancel what is not done in time.

        Before it has started there is nothing to finish, so the grace is spared.
        """
        if not self._started:
            grace_seconds = 0
        self._scope.deadline = trio.current_time() + grace_seconds
        self._end_resources_in(grace_seconds + self._cleanup_seconds + CLOSING_SECONDS)
        self._scheduler.stop()
        self._store.close()
        self._dispatcher.close(self._scope.deadline)

    def stop(self, reason: str) -> None:
        """Cancel running jobs at their next checkpoint and abandon all others."""
        self._stop_reason = reason
        self._end_resources_in(self._cleanup_seconds + CLOSING_SECONDS)
        self._scheduler.stop()
        self._store.close()
        self._dispatcher.stop()
        self._scope.cancel()
        self.jobs_must_end.set()

    def abandon_the_rest(self, reason: str) -> None:
        """Leave behind all jobs that have not ended.

        After a drain, those that could not have started say what kept them, in the reason's place.
        """
        if reason == "grace_over":
            self._store.leave_behind(lambda job: self._dispatcher.what_keeps(job) or reason)
        else:
            self._store.leave_behind(lambda _: reason)

    def end_without_loop(self, reason: str) -> None:
        """Leave behind all jobs that have not ended, from another thread: the loop is blocked."""
        self._stop_reason = reason  # for `outcome`, which can't ask Trio there
        self.abandon_the_rest(reason)

    async def settle(self) -> None:
        """Let the store keep what it was told last. It takes SETTLING_SECONDS at most.

        A job of which it can't keep all is abandoned.
        """
        with trio.move_on_after(SETTLING_SECONDS, shield=True) as settling:
            await self._store.settled()
        if settling.cancelled_caught:
            self._store.abandon_unkept()

    def workers(self) -> list[WorkerView]:
        """What each live worker does now, in their order."""
        return self._crew.views()

    async def _schedule(self) -> None:
        try:
            await self._scheduler.run()
        except Exception:  # told here, since workers say why they end before `run` hears of it
            self._crashed = True
            raise

    def _worker(
        self,
        number: int,
        jobs: trio.MemoryReceiveChannel[Job],
        calls: Calls,
    ) -> Worker:
        return Worker(
            f"worker-{number}",
            jobs,
            self._registry,
            self._store,
            self._dispatcher,
            self._verdicts,
            self._log,
            calls,
            self._threads,
            self._cancellation_deadline,
        )

    def _note_crash(self) -> None:
        self._crashed = True
        self.jobs_must_end.set()
