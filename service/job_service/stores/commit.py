"""Group commit: changes are kept in their order, many at a time, and told when they are kept.

The jobs in memory change at once, so that whatever is decided next knows of it. Nobody else does
before the change is kept: events, what the runner must know, and answers to clients wait in line
until then. Transactions follow one another, so what is kept is always all that was done up to some
moment. While one is written, the next gathers.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Final

import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.state.clock import Clock
from job_service.stores.unit_of_work import UnitOfWork
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
STALLED_SECONDS: Final = 10.0  # that a transaction may take; longer ones are trouble


class CannotKeep(Exception):
    """What keeps the jobs is in trouble now; the text says which."""


class Committer:
    """Keeps units with `keep`, which raises CannotKeep, and then tells them with `tell`.

    When trouble begins, `refuse` is called with all units that wait. Those that it takes out are
    refused, and all others are kept when the trouble is over. If there are none, that is found out
    with `keep` of nothing.

    A transaction that takes too long is trouble, too. Nobody knows yet what will become of its own
    units, so they are not refused.
    """

    def __init__(
        self,
        keep: Callable[[Sequence[UnitOfWork]], Awaitable[None]],
        tell: Callable[[UnitOfWork], None],
        refuse: Callable[[deque[UnitOfWork]], None],
        emit: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._refuse = refuse
        self._emit = emit
        self._clock = clock
        self._units = deque[UnitOfWork]()  # those that are not told yet, in their order
        self._changed = trio.lowlevel.ParkingLot()
        self._tries_later = trio.lowlevel.ParkingLot()
        self._is_closed = False
        self._under_way = 0  # units of the transaction that is being written
        self._under_way_since = 0.0
        self._trouble: str | None = None
        self._failing_since = 0.0

    @property
    def waiting(self) -> Iterable[UnitOfWork]:
        """The units that are not told yet, in their order."""
        return self._units

    @property
    def line(self) -> int:
        """How many units are not told yet."""
        return len(self._units)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be kept now; None if it can. Who asks finds out about a slow disk."""
        if self._trouble is None and self._under_way:
            seconds = self._clock.monotonic() - self._under_way_since
            if seconds > STALLED_SECONDS:
                self._begin_trouble(f"it has not answered for {seconds:.0f} seconds")
        return self._trouble

    def add(self, unit: UnitOfWork) -> bool:
        """Keep a unit, and tell of it after all that came before; whether it has to wait for that.

        An open one may take in more while it waits, until it is closed.
        """
        if not self._units and not unit.needs_keeping:
            self._tell(unit)
            return False
        if self._units:
            self._units[-1].is_open = False
        self._units.append(unit)
        # If the service's end comes from another thread, the loop is blocked.
        if self._changed and trio.lowlevel.in_trio_run():
            self._changed.unpark_all()
        return True

    def try_out(self) -> None:
        """Find out soon whether anything can be kept; what waits in line shows that, too."""
        if not self._units:
            unit = UnitOfWork()
            unit.beside.append(None)
            self.add(unit)

    def try_now(self) -> None:
        """If there is trouble, it may be over: do not wait until it would be tried again."""
        self._tries_later.unpark_all()

    async def kept(self) -> None:
        """Return when all units so far are kept and told. Raises StoreUnavailable."""
        self.require_no_trouble()
        if not self._units:
            await trio.lowlevel.checkpoint()
            return
        if not await self._told(self._units[-1]):
            raise self._unavailable()

    async def settled(self) -> None:
        """Return when all units so far are kept and told, however long that takes.

        If there is trouble, it is tried again now, because the service may be about to end.
        """
        self.try_now()
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._units and not await self._told(self._units[-1]):
            pass  # trouble began; what was refused with it is not in line any more
        await trio.lowlevel.cancel_shielded_checkpoint()

    def require_no_trouble(self) -> None:
        """Raise StoreUnavailable if nothing can be kept now."""
        if self.trouble is not None or self._is_closed:
            raise self._unavailable()

    async def run(self) -> None:
        """Keep and tell, until cancelled."""
        while True:
            while not self._units:
                await self._changed.park()
            await self._gather()
            batch = self._next_batch()
            if any(unit.needs_keeping for unit in batch):
                batch = await self._keep_stubbornly(batch)
            if self._is_closed:
                return
            self._tell_all(batch)
            await trio.lowlevel.checkpoint()

    def take_over(self) -> list[UnitOfWork]:
        """Keep nothing more: the units that are not told. Another thread may call it."""
        self._is_closed = True
        units, self._units = list(self._units), deque()
        for unit in units:
            unit.is_open = False
        return units

    def close(self) -> list[UnitOfWork]:
        """Keep nothing more, and refuse all who wait: the units that are not told."""
        units = self.take_over()
        for unit in units:
            self._refuse_waiters(unit)
        return units

    async def _gather(self) -> None:
        """Let all who can go on now add their units, so that fewer transactions keep them."""
        units, told = 0, 0
        while self._units and sum(len(unit.jobs) for unit in self._units) < MOST_JOBS:
            before = units, told
            units, told = len(self._units), len(self._units[-1].told)  # the last may be open
            if before == (units, told):
                return
            await trio.lowlevel.checkpoint()

    def _next_batch(self) -> list[UnitOfWork]:
        batch, jobs = list[UnitOfWork](), 0
        for unit in self._units:
            jobs += len(unit.jobs)
            if batch and jobs > MOST_JOBS:
                break
            unit.is_open = False
            batch.append(unit)
        return batch

    async def _keep_stubbornly(self, batch: list[UnitOfWork]) -> list[UnitOfWork]:
        """Try until it is kept. Returns what was kept in the end: less, if some was refused."""
        pause = FIRST_RETRY_SECONDS
        while not self._is_closed:
            began = self._under_way_since = self._clock.monotonic()
            self._under_way = len(batch)
            try:
                await self._keep(batch)
            except CannotKeep as error:
                self._under_way = 0
                self._emit(StoreFailed(timestamp=self._clock.now(), error=str(error)))
                self._begin_trouble(str(error))
                with trio.move_on_after(pause):
                    await self._tries_later.park()
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                batch = self._next_batch()
            else:
                self._under_way = 0
                seconds = round(self._clock.monotonic() - began, 6)
                self._end_trouble()
                self._emit(StoreCommitted(timestamp=self._clock.now(), commit_seconds=seconds))
                return batch
        return []

    def _begin_trouble(self, error: str) -> None:
        if self._trouble is None:
            self._failing_since = self._clock.monotonic()
            self._emit(StoreFailing(timestamp=self._clock.now(), error=error))
        self._trouble = error
        under_way = list(islice(self._units, self._under_way))
        waiting = deque(islice(self._units, self._under_way, None))
        for unit in waiting:
            self._refuse_waiters(unit)
        self._refuse(waiting)
        self._units = deque((*under_way, *waiting))

    def _refuse_waiters(self, unit: UnitOfWork) -> None:
        told, unit.awaited = unit.awaited, None
        if told is not None:
            told.set()

    def _end_trouble(self) -> None:
        if self._trouble is None:
            return
        self._trouble = None
        seconds = round(self._clock.monotonic() - self._failing_since, 6)
        self._emit(StoreRecovered(timestamp=self._clock.now(), failing_seconds=seconds))

    def _tell_all(self, batch: Sequence[UnitOfWork]) -> None:
        for unit in batch:
            self._tell(unit)
            self._units.popleft()
            if unit.awaited is not None:
                unit.awaited.set()

    async def _told(self, unit: UnitOfWork) -> bool:
        """Wait until this unit, which is in line, is told; false if that is refused."""
        told = unit.awaited
        if told is None:
            told = unit.awaited = trio.Event()
        await told.wait()
        return unit.awaited is told

    def _unavailable(self) -> StoreUnavailable:
        why = self._trouble or "it is closed"
        return StoreUnavailable(f"the store can't keep anything now: {why}")
