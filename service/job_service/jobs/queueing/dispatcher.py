"""Hands ready jobs to free workers, and holds back those that are not to start yet."""

import math
from collections.abc import Callable, Mapping

import trio

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.queueing.delayed import DelayedJobs
from job_service.jobs.queueing.fitness import limits_of, why_unfit
from job_service.jobs.queueing.why_pending import view_of, what_keeps, why_it_waits
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.model import Job
from job_service.jobs.state.transitions import enqueue
from job_service.stores.contract import Store
from job_service.stores.runner import BacklogView, Demand

_DUE_IN_ONE_GO = 500
_KEYS_IN_ONE_GO = 200  # each of which takes several times as long


class Dispatcher:
    """Owns the backlog and is the only sender of the workers' channel. It is its store's runner.

    `on_failure` is called with each job that has failed for good, when that is kept.
    `starts_per_second` tells how many jobs of each type have begun a second lately.

    A job leaves the backlog only when a worker asks for one, so what is in the channel is as good
    as taken: all that is not running can still be reordered, held back or cancelled, and no job
    can be lost inside the channel.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        threads_awaited: Callable[[], int],
        on_failure: Callable[[Job], None] = lambda _: None,
        starts_per_second: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._registry = registry
        self._store = store
        self._clock = store.clock
        self._taken = set[str]()  # ids of the jobs that workers have, or are about to have
        self._backlog = Backlog(
            lambda job_type: limits_of(registry, job_type),
            store.clock.monotonic,
            lambda: not self._taken,
        )
        self._delayed = DelayedJobs(store.clock)
        self._threads_awaited = threads_awaited
        self._on_failure = on_failure
        self._starts_per_second = starts_per_second
        self._changed = trio.lowlevel.ParkingLot()
        self._workers: trio.MemorySendChannel[Job] | None = None
        self._free_workers = 0
        self._next_look = math.inf  # at rates, on the monotonic clock
        self._held_because: str | None = None
        self._closes_at: float | None = None
        store.attach(self)

    @property
    def is_open(self) -> bool:
        """Whether the drain has not begun yet."""
        return self._closes_at is None

    def add(self, job: Job, ready_in: float | None) -> None:
        """The pending job waits for nothing but its time and a worker, from now on."""
        if job.retry_of is not None or job.is_recovered:
            self._note_why_unfit(job)
        if job.run_at is job.created_at:  # as most are
            self._make_ready(job, at_once=not job.after)
        elif ready_in is None:
            self._await_date(job)
        elif ready_in > 0:
            self._add_later(job, ready_in)
        else:
            self._make_ready(job)

    def take_back(self, job: Job) -> bool:
        """The pending job is not to start until it is added again; false if it is about to."""
        if job.ready_monotonic is not None and job not in self._backlog.queue_of(job):
            return False  # it is on its way to a worker
        self._drop(job)
        return True

    def recover(self, job: Job) -> str | None:
        """A pending job comes in from what is kept. Returns why this program can't run it."""
        why = self._note_why_unfit(job)
        if job.awaits is None:
            self._await_date(job, is_told=False)
        return why

    def attempt_ended(self, job: Job, ready_in: float | None) -> None:
        """An attempt is over, which makes room for others; perhaps the job is to come back."""
        self._taken.discard(job.id)
        made_room = self._backlog.release(job)
        if job.status == "failed":
            self._on_failure(job)
        if job.status == "abandoned":  # the service ends: nothing more is to start
            return
        if ready_in is not None:
            self._add_later(job, ready_in)
        if made_room:
            self._hand_over()
        if self._closes_at is not None:
            self._look_again()

    def discard(self, job: Job) -> None:
        """The job has ended without a run that was under way."""
        if job.status == "failed":
            self._on_failure(job)
        if job.status == "abandoned":
            self._drop(job)
        else:
            self.lose(job)

    def lose(self, job: Job) -> None:
        """The job is somebody else's, whatever this program has made of it."""
        self._drop(job)
        self._taken.discard(job.id)
        if self._backlog.release(job):
            self._hand_over()
        self._look_again()

    def worker_is_free(self) -> None:
        """A worker asks for a job, and will take what comes through the channel next."""
        self._free_workers += 1
        self._hand_over()

    def began(self, job: Job, at: float) -> None:
        """A job has started, at this moment of the monotonic clock, if that matters to its type."""
        if self._backlog.has_rates:
            self._backlog.began(job, at)
            self._mind_rates()

    def pause(self, job_type: str | None) -> bool:
        """Start no job, or none of this type, until `resume`; whether that is new."""
        changed = self._backlog.pause(job_type)
        if changed:
            self._look_again()
        return changed

    def resume(self, job_type: str | None) -> bool:
        """Take back a `pause` of the same kind; whether there was one."""
        changed = self._backlog.resume(job_type)
        if changed:
            self._hand_over()
        return changed

    def hold(self, why: str | None) -> None:
        """Start no job for this reason, beside all pauses; None takes it back."""
        was_held, self._held_because = self._held_because is not None, why
        if was_held and why is None:
            self._hand_over()

    def why_it_waits(self, job: Job) -> str:
        """Why a pending job is not running now, in one sentence."""
        if self._held_because is not None:
            return self._held_because
        if self._backlog.is_unfit(job):
            return why_unfit(self._registry, job) or f"{job.type} was registered too late for it"
        due_in_seconds = (job.run_at - self._clock.now()).total_seconds()
        return why_it_waits(job, self._backlog, due_in_seconds, self._threads_awaited())

    def what_keeps(self, job: Job) -> str | None:
        """Why a job can't start at the end of a drain; None if it lacks nothing but time."""
        return what_keeps(job, self._backlog)

    def demand(self) -> Demand:
        """What could start now, beside what is here."""
        if self._workers is None or not self._may_start:
            return Demand()
        registry = self._registry
        limits = {name: registry.lookup(name).limits for name in registry.names}
        free_workers = self._free_workers if self._backlog.alone is None else 0
        return Demand(free_workers, self._backlog.ready - self._backlog.held, limits)

    @property
    def oldest_ready(self) -> float | None:
        """When the job that has waited longest for a worker became ready; None if none waits."""
        oldest = self._backlog.oldest_ready
        return oldest if oldest < math.inf else None

    def view(self) -> BacklogView:
        """What holds the pending jobs back."""
        return view_of(self._backlog, self._delayed, self._starts_per_second())

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
        deadline are left in the store, pending. If there are no workers, nothing starts here.
        """
        with workers:
            if workers.statistics().max_buffer_size > 0:
                self._workers = workers
            try:
                while True:
                    due = self._delayed.take_due(_DUE_IN_ONE_GO)
                    for job in due:
                        self._make_ready(job)
                    looked = self._backlog.look_again(_KEYS_IN_ONE_GO)
                    self._hand_over()
                    if len(due) == _DUE_IN_ONE_GO or looked == _KEYS_IN_ONE_GO:
                        # Let others run before the rest.
                        await trio.lowlevel.checkpoint()
                        continue
                    if self._drained():
                        return
                    await self._wait_for_change()
            finally:
                self._workers = None

    async def _wait_for_change(self) -> None:
        # No change can be missed: between the last look and the parking there is no checkpoint.
        deadline = self._delayed.next_look
        if self._backlog.has_rates and (next_look := self._backlog.next_look) < math.inf:
            self._next_look = next_look
            look = trio.current_time() + next_look - self._clock.monotonic()
            deadline = look if deadline is None else min(look, deadline)
        if deadline is None:
            await self._changed.park()  # the common case spares the scope
        else:
            with trio.CancelScope(deadline=deadline):
                await self._changed.park()
        self._next_look = math.inf

    def _look_again(self) -> None:
        if self._changed:
            self._changed.unpark_all()

    def _mind_rates(self) -> None:
        """Be awake when the rates let more jobs start."""
        if self._backlog.next_look < self._next_look:
            self._look_again()

    def _note_why_unfit(self, job: Job) -> str | None:
        """Hold the job back if its payload, which is of an older program, does not fit any more.

        That is not looked at when a job starts, because what this program submits was checked.
        """
        why = why_unfit(self._registry, job)
        if why is not None:
            self._backlog.misfits.add(job.id)
        return why

    def _await_date(self, job: Job, *, is_told: bool = True) -> None:
        if job.run_at is job.created_at or job.run_at <= self._clock.now():  # spares most a look
            self._make_ready(job, is_told=is_told)
            return
        if self._delayed.add_until_date(job):
            self._look_again()

    def _add_later(self, job: Job, delay_seconds: float) -> None:
        is_next = self._delayed.add(job, delay_seconds)
        if is_next or self._closes_at is not None:
            self._look_again()

    def _drop(self, job: Job) -> None:
        self._delayed.discard(job)
        self._backlog.discard(job)

    def _make_ready(self, job: Job, *, at_once: bool = False, is_told: bool = True) -> None:
        if job.status != "pending":  # it has just ended, and `discard` is still to come
            return
        if not self._backlog.add(job):  # then it is not ready, whatever happens
            return
        self._store.apply(enqueue(job, self._clock, at_once=at_once, is_told=is_told))
        if self._free_workers:
            self._hand_over()
        elif self._backlog.has_rates:
            self._mind_rates()

    def _hand_over(self) -> None:
        if self._workers is None or not self._may_start:
            return
        try:
            while self._free_workers and (job := self._backlog.take()) is not None:
                self._free_workers -= 1
                self._taken.add(job.id)
                self._workers.send_nowait(job)
            if self._backlog.has_rates:
                self._mind_rates()
            if self._free_workers:
                self._store.note_demand()
        except trio.BrokenResourceError:  # the last worker has left
            self._workers = None

    @property
    def _may_start(self) -> bool:
        """Whether jobs are to start; what a durable store has need not in a drain."""
        is_open = self._closes_at is None or not self._store.is_durable
        return is_open and self._held_because is None

    def _drained(self) -> bool:
        if self._closes_at is None:
            return False
        if self._store.is_durable:
            return self._store.processing == 0
        backlog, delayed = self._backlog, self._delayed
        can_not_start = len(delayed) + backlog.held + backlog.unfit + self._store.blocked
        can_not_start += backlog.held_for(self._closes_at - trio.current_time())
        return (
            self._store.pending == can_not_start
            and self._store.processing == 0
            and not delayed.any_by(self._closes_at, backlog.can_start)
        )
