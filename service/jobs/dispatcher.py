"""Hands ready jobs to free workers, and holds back those that are not due."""

import contextlib
import math

import trio

from service.jobs.backlog import Backlog
from service.jobs.model import Job
from service.jobs.store import JobStore


class Dispatcher:
    """Owns the backlog and is the only sender of the workers' channel.

    A job leaves the backlog only when a worker asks for one, so what is in the channel is as good
    as taken: all that is not running can still be reordered, held back or cancelled, and no job
    can be lost inside the channel.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._backlog = Backlog()
        self._changed = trio.lowlevel.ParkingLot()
        self._workers: trio.MemorySendChannel[Job] | None = None
        self._free_workers = 0
        self._closes_at: float | None = None

    @property
    def accepting(self) -> bool:
        """Whether the drain has not begun yet."""
        return self._closes_at is None

    def add(self, job: Job) -> None:
        """The job may start as soon as a worker is free."""
        self._store.enqueue(job)
        self._backlog.add(job)
        self._hand_over()

    def add_later(self, job: Job, delay_seconds: float) -> None:
        """The job may start in `delay_seconds`."""
        self._backlog.add_later(job, trio.current_time() + delay_seconds)
        self._look_again()

    def discard(self, job: Job) -> None:
        """The job was called off."""
        self._backlog.discard(job)
        self._look_again()

    def worker_is_free(self) -> None:
        """A worker asks for a job, and will take what comes through the channel next."""
        self._free_workers += 1
        self._hand_over()
        if self._closes_at is not None:
            self._look_again()

    def close(self, deadline: float) -> None:
        """Stop once all jobs are done that can start before `deadline`, on Trio's clock."""
        self._closes_at = deadline
        self._look_again()

    async def run(self, workers: trio.MemorySendChannel[Job]) -> None:
        """Dispatch until drained, then close `workers`, which tells them to stop.

        The channel must have a place for each of them. Jobs that are not due before the drain's
        deadline are left in the store, pending.
        """
        with workers:
            self._workers = workers
            try:
                while True:
                    for job in self._backlog.take_due(trio.current_time()):
                        self._store.enqueue(job)
                        self._backlog.add(job)
                    self._hand_over()
                    if self._drained():
                        return
                    await self._wait_for_change()
            finally:
                self._workers = None

    async def _wait_for_change(self) -> None:
        # No change can be missed: between the last look and the parking there is no checkpoint.
        next_due = self._backlog.next_due
        if next_due == math.inf:
            await self._changed.park()  # the common case spares the scope
        else:
            with trio.CancelScope(deadline=next_due):
                await self._changed.park()

    def _look_again(self) -> None:
        if self._changed:
            self._changed.unpark_all()

    def _hand_over(self) -> None:
        if self._workers is None:  # not running, yet or any more
            return
        with contextlib.suppress(trio.BrokenResourceError):  # the last worker has left: the end
            while self._free_workers and self._backlog.ready:
                self._free_workers -= 1
                self._workers.send_nowait(self._backlog.take())

    def _drained(self) -> bool:
        if self._closes_at is None:
            return False
        only_later_ones_wait = self._store.pending == self._backlog.later
        return (
            only_later_ones_wait
            and self._store.processing == 0
            and self._backlog.next_due > self._closes_at
        )
