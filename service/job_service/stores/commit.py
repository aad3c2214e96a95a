"""Group commit: changes are kept in their order, many at a time, and told when they are kept.

The jobs in memory change at once, so that whatever is decided next knows of it. Nobody else does
before the change is kept: events, what the runner must know, and answers to clients wait in line
until then. Transactions follow one another, so what is kept is always all that was done up to some
moment. While one is written, the next gathers.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Job
from job_service.stores.contract import KeyedRequest
from job_service.telemetry.events import (
    Event,
    StoreCommitted,
    StoreFailed,
    StoreFailing,
    StoreRecovered,
)

MOST_JOBS: Final = 1_000  # of a transaction, unless one call has changed more
FIRST_RETRY_SECONDS: Final = 0.05
LONGEST_RETRY_SECONDS: Final = 2.0


Call = tuple[Callable[..., object], Job, *tuple[float | None, ...]]  # of the runner


class Pause(NamedTuple):
    """Jobs of a type, or all if it is None, are to start or not."""

    job_type: str | None
    paused: bool


class Remembered(NamedTuple):
    """A request with an idempotency key, the jobs that it made, and until when it counts."""

    request: KeyedRequest
    jobs: Sequence[JobSummary]
    until: datetime


class Act:
    """All that one call has done, which is kept as a whole or not at all.

    `jobs` are those that it changed, `created` those of them that it made, and `ended` those that
    it gave their end. `beside` is what else is to be kept. `told` is what tells of it. A submission
    is one for which somebody waits, and may make no job.
    """

    __slots__ = (*("awaited", "beside", "created", "ended", "is_submission", "jobs", "told"),)

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.created: list[Job] = []
        self.ended: list[Job] = []
        self.beside: list[object] = []
        self.told: list[Event | Call] = []
        self.awaited: trio.Event | None = None  # made by the first who waits until it is told
        self.is_submission = False

    @property
    def is_kept(self) -> bool:
        """Whether there is nothing in it that must be kept."""
        return not self.jobs and not self.beside


class CannotKeep(Exception):
    """What keeps the jobs is in trouble now; the text says which."""


class Committer:
    """Keeps acts with `keep`, which raises CannotKeep, and then tells them with `tell`.

    When trouble begins, `refuse` is called with all acts that wait. Those that it takes out are
    refused, and all others are kept when the trouble is over. If there are none, that is found out
    with `keep` of nothing.
    """

    def __init__(
        self,
        keep: Callable[[Sequence[Act]], Awaitable[None]],
        tell: Callable[[Act], None],
        refuse: Callable[[deque[Act]], None],
        emit: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._refuse = refuse
        self._emit = emit
        self._clock = clock
        self._acts = deque[Act]()  # those that are not told yet, in their order
        self._changed = trio.lowlevel.ParkingLot()
        self._tries_later = trio.lowlevel.ParkingLot()
        self._is_closed = False
        self.trouble: str | None = None
        self._failing_since = 0.0

    def add(self, act: Act) -> None:
        """Keep an act, and tell of it after all that came before."""
        if not self._acts and act.is_kept:
            self._tell(act)
            return
        self._acts.append(act)
        # If the service's end comes from another thread, the loop is blocked.
        if self._changed and trio.lowlevel.in_trio_run():
            self._changed.unpark_all()

    def try_out(self) -> None:
        """Find out soon whether anything can be kept; what waits in line shows that, too."""
        if not self._acts:
            act = Act()
            act.beside.append(None)
            self.add(act)

    async def kept(self) -> None:
        """Return when all acts so far are kept and told. Raises StoreUnavailable."""
        self.require_no_trouble()
        if not self._acts:
            await trio.lowlevel.checkpoint()
            return
        if not await self._told(self._acts[-1]):
            raise self._unavailable()

    async def settled(self) -> None:
        """Return when all acts so far are kept and told, however long that takes.

        If there is trouble, it is tried again now, because the service may be about to end.
        """
        self._tries_later.unpark_all()
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._acts and not await self._told(self._acts[-1]):
            pass  # trouble began; what was refused with it is not in line any more
        await trio.lowlevel.cancel_shielded_checkpoint()

    def require_no_trouble(self) -> None:
        """Raise StoreUnavailable if nothing can be kept now."""
        if self.trouble is not None or self._is_closed:
            raise self._unavailable()

    async def run(self) -> None:
        """Keep and tell, until cancelled."""
        while True:
            while not self._acts:
                await self._changed.park()
            batch = self._next_batch()
            if not all(act.is_kept for act in batch):
                batch = await self._keep_stubbornly(batch)
            if self._is_closed:
                return
            self._tell_all(batch)
            await trio.lowlevel.checkpoint()

    def take_over(self) -> list[Act]:
        """Keep nothing more: the acts that are not told. Another thread may call it."""
        self._is_closed = True
        acts, self._acts = list(self._acts), deque()
        return acts

    def close(self) -> list[Act]:
        """Keep nothing more, and refuse all who wait: the acts that are not told."""
        acts = self.take_over()
        for act in acts:
            self._refuse_waiters(act)
        return acts

    def _next_batch(self) -> list[Act]:
        batch, jobs = list[Act](), 0
        for act in self._acts:
            jobs += len(act.jobs)
            if batch and jobs > MOST_JOBS:
                break
            batch.append(act)
        return batch

    async def _keep_stubbornly(self, batch: list[Act]) -> list[Act]:
        """Try until it is kept. Returns what was kept in the end: less, if some was refused."""
        pause = FIRST_RETRY_SECONDS
        while not self._is_closed:
            began = self._clock.monotonic()
            try:
                await self._keep(batch)
            except CannotKeep as error:
                self._emit(StoreFailed(timestamp=self._clock.now(), error=str(error)))
                self._begin_trouble(str(error))
                with trio.move_on_after(pause):
                    await self._tries_later.park()
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                batch = self._next_batch()
            else:
                seconds = round(self._clock.monotonic() - began, 6)
                self._end_trouble()
                self._emit(StoreCommitted(timestamp=self._clock.now(), commit_seconds=seconds))
                return batch
        return []

    def _begin_trouble(self, error: str) -> None:
        if self.trouble is not None:
            self.trouble = error
            return
        self.trouble = error
        self._failing_since = self._clock.monotonic()
        self._emit(StoreFailing(timestamp=self._clock.now(), error=error))
        waiting = list(self._acts)
        self._refuse(self._acts)
        for act in waiting:
            self._refuse_waiters(act)

    def _refuse_waiters(self, act: Act) -> None:
        told, act.awaited = act.awaited, None
        if told is not None:
            told.set()

    def _end_trouble(self) -> None:
        if self.trouble is None:
            return
        self.trouble = None
        seconds = round(self._clock.monotonic() - self._failing_since, 6)
        self._emit(StoreRecovered(timestamp=self._clock.now(), failing_seconds=seconds))

    def _tell_all(self, batch: Sequence[Act]) -> None:
        for act in batch:
            self._tell(act)
            self._acts.popleft()
            if act.awaited is not None:
                act.awaited.set()

    async def _told(self, act: Act) -> bool:
        """Wait until this act, which is in line, is told; false if that is refused."""
        told = act.awaited
        if told is None:
            told = act.awaited = trio.Event()
        await told.wait()
        return act.awaited is told

    def _unavailable(self) -> StoreUnavailable:
        why = self.trouble or "it is closed"
        return StoreUnavailable(f"the store can't keep anything now: {why}")
