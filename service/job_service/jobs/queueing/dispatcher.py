"""Hands ready jobs to free workers, and holds back those that are not to start yet."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

import trio

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.queueing.dependencies import Dependencies, failed_dependency
from job_service.jobs.queueing.waiting import why_it_waits
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.jobs.state.clock import LOOK_SECONDS
from job_service.jobs.state.detail import QueueView
from job_service.jobs.state.model import TERMINAL, Job
from job_service.jobs.state.transitions import JobStore

_DUE_IN_ONE_GO = 500


class Dispatcher:
    """Owns the backlog and is the only sender of the workers' channel.

    A job leaves the backlog only when a worker asks for one, so what is in the channel is as good
    as taken: all that is not running can still be reordered, held back or cancelled, and no job
    can be lost inside the channel.
    """

    def __init__(
        self,
        store: JobStore,
        limit_of: Callable[[str], int | None],
        threads_awaited: Callable[[], int],
    ) -> None:
        self._store = store
        self._backlog = Backlog(limit_of)
        self._dependencies = Dependencies()
        self._threads_awaited = threads_awaited
        self._changed = trio.lowlevel.ParkingLot()
        self._workers: trio.MemorySendChannel[Job] | None = None
        self._free_workers = 0
        self._closes_at: float | None = None

    @property
    def accepting(self) -> bool:
        """Whether the drain has not begun yet."""
        return self._closes_at is None

    def add(self, job: Job, predecessors: Sequence[Job] = ()) -> None:
        """A new job may start when its time has come and all of `predecessors` have completed."""
        if predecessors:
            failed = failed_dependency(predecessors)
            if failed is not None:
                self._fail(job, failed)
                return
            self._dependencies.add(job, predecessors)
            if job.awaits is not None:
                return
        if job.run_at is job.created_at:
            self._make_ready(job)
        else:
            self._schedule(job)

    def add_later(self, job: Job, delay_seconds: float) -> None:
        """The job may start in `delay_seconds`."""
        due, next_due = trio.current_time() + delay_seconds, self._backlog.delayed.next_due
        self._backlog.delayed.add(job, due)
        if next_due is None or due < next_due or self._closes_at is not None:
            self._look_again()

    def discard(self, job: Job) -> None:
        """The job was called off before it ran."""
        self.forget(job)
        self._follow(job)
        self._look_again()

    def forget(self, job: Job) -> None:
        """The service's end has left the job behind."""
        self._backlog.discard(job)
        self._dependencies.discard(job)

    def worker_is_free(self, done: Job | None) -> None:
        """A worker asks for a job, and will take what comes through the channel next.

        `done` is the one that came before, which has ended or is to be run again.
        """
        if done is not None:
            self._make_room_after(done)
        self._free_workers += 1
        self._hand_over()
        if self._closes_at is not None:
            self._look_again()

    def attempt_ended(self, job: Job) -> None:
        """An attempt of this job is over, though its worker is not free yet."""
        self._make_room_after(job)
        self._hand_over()
        if self._closes_at is not None:
            self._look_again()

    def pause(self, job_type: str | None) -> None:
        """Start no job, or none of this type, until `resume`; what runs goes on."""
        if job_type is None:
            changed, self._backlog.paused = not self._backlog.paused, True
        else:
            changed = self._backlog.pause(job_type)
        if changed:
            self._store.pause(job_type)
            self._look_again()

    def resume(self, job_type: str | None) -> None:
        """Take back a `pause` of the same kind."""
        if job_type is None:
            changed, self._backlog.paused = self._backlog.paused, False
        else:
            changed = self._backlog.resume(job_type)
        if changed:
            self._store.resume(job_type)
            self._hand_over()

    def why_it_waits(self, job: Job) -> str:
        """Why a pending job is not running now, in one sentence."""
        now = self._store.clock.now()
        due_in_seconds = (job.run_at - now).total_seconds()
        return why_it_waits(job, self._backlog, due_in_seconds, self._threads_awaited())

    def what_keeps(self, job: Job) -> str | None:
        """Why a job can't start at the end of a drain; None where it lacks nothing but time."""
        if job.status != "pending":
            return None
        if job.awaits is not None:
            return "waits_for_jobs"
        if self._backlog.is_paused(job):
            return "paused"
        return "not_due_in_time" if job.ready_monotonic is None else None

    def view(self) -> QueueView:
        """How many jobs wait, and for what."""
        pending, later, blocked = (
            self._store.pending,
            self._backlog.later,
            self._dependencies.waiting,
        )
        ready = pending - later - blocked  # some of them may be on their way to a worker
        now = self._store.clock.monotonic()
        waited = now - min(self._backlog.oldest_ready, now)
        return QueueView(
            paused=self._backlog.paused,
            paused_types=self._backlog.paused_types,
            capacity=self._store.capacity,
            pending=pending,
            ready=ready,
            later=later,
            blocked=blocked,
            processing=self._store.processing,
            oldest_ready_seconds=round(waited, 6) if ready else None,
        )

    def close(self, deadline: float) -> None:
        """Stop once all jobs are done that can start before `deadline`, on Trio's clock."""
        self._closes_at = deadline
        self._look_again()

    def stop(self) -> None:
        """Hand over no more jobs; whoever runs the dispatcher and the workers cancels them."""
        self.close(-math.inf)
        self._workers = None

    async def run(self, workers: trio.MemorySendChannel[Job]) -> None:
        """Dispatch until drained, then close `workers`, which tells them to stop.

        The channel must have a place for each of them. Jobs that can't start before the drain's
        deadline are left in the store, pending.
        """
        with workers:
            self._workers = workers
            try:
                while True:
                    due = self._take_due()
                    for job in due:
                        self._make_ready(job)
                    self._hand_over()
                    if len(due) == _DUE_IN_ONE_GO:  # let others run before the rest
                        await trio.lowlevel.checkpoint()
                        continue
                    if self._drained():
                        return
                    await self._wait_for_change()
            finally:
                self._workers = None

    async def _wait_for_change(self) -> None:
        # No change can be missed: between the last look and the parking there is no checkpoint.
        deadline, next_date = self._backlog.delayed.next_due, self._backlog.dated.next_due
        if next_date is not None:
            seconds = (next_date - self._store.clock.now()).total_seconds()
            look = trio.current_time() + min(seconds, LOOK_SECONDS)
            deadline = look if deadline is None else min(look, deadline)
        if deadline is None:
            await self._changed.park()  # the common case spares the scope
        else:
            with trio.CancelScope(deadline=deadline):
                await self._changed.park()

    def _look_again(self) -> None:
        if self._changed:
            self._changed.unpark_all()

    def _schedule(self, job: Job) -> None:
        """Nothing but time keeps the job from starting."""
        if job.due_monotonic is not None:
            delay = job.due_monotonic - self._store.clock.monotonic()
            if delay > 0:
                self.add_later(job, delay)
                return
        elif job.run_at > self._store.clock.now():
            next_date = self._backlog.dated.next_due
            self._backlog.dated.add(job, job.run_at)
            if next_date is None or job.run_at < next_date:
                self._look_again()
            return
        self._make_ready(job)

    def _take_due(self) -> list[Job]:
        now, date = trio.current_time(), self._store.clock.now()
        return self._backlog.take_due(now, date, _DUE_IN_ONE_GO)

    def _make_ready(self, job: Job) -> None:
        self._store.enqueue(job)
        self._backlog.add(job)
        if self._free_workers:
            self._hand_over()

    def _make_room_after(self, done: Job) -> None:
        self._backlog.ended(done)
        # The end of the service is no failure: it leaves what comes after the job behind, too.
        if done.successors and done.status in TERMINAL and done.status != "abandoned":
            self._follow(done)

    def _follow(self, ended: Job) -> None:
        """Start what awaited this job, or fail it, and then what came after that."""
        all_ended = [ended]
        while all_ended:
            predecessor = all_ended.pop()
            for job in self._dependencies.end(predecessor):
                if predecessor.status == "completed":
                    self._schedule(job)
                else:
                    self._fail(job, predecessor)
                    all_ended.append(job)

    def _fail(self, job: Job, predecessor: Job) -> None:
        became = "has failed" if predecessor.status == "failed" else f"was {predecessor.status}"
        self._store.fail_unstarted(job, f"job {predecessor.id}, which it was to follow, {became}")

    def _hand_over(self) -> None:
        if self._workers is None:  # not running, yet or any more
            return
        try:
            while self._free_workers and (job := self._backlog.take()) is not None:
                self._free_workers -= 1
                self._workers.send_nowait(job)
        except trio.BrokenResourceError:  # the last worker has left
            self._workers = None

    def _drained(self) -> bool:
        if self._closes_at is None:
            return False
        backlog = self._backlog
        seconds = min(max(self._closes_at - trio.current_time(), -1), 2 * LONGEST_WAIT_SECONDS)
        date = self._store.clock.now() + timedelta(seconds=seconds)
        can_not_start = backlog.later + backlog.held + self._dependencies.waiting
        return (
            self._store.pending == can_not_start
            and self._store.processing == 0
            and not backlog.starts_any_by(self._closes_at, date)
        )
