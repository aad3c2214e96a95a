"""How attempts are cancelled: which errors are a cancellation, and by when an attempt must end."""

import math
from collections.abc import Callable
from typing import Final

import trio

from job_service.failures.exception_groups import is_a, leaves

CLEANUP_SECONDS: Final = 2.0  # that handlers have when they are cancelled


def interruption_in(error: BaseException) -> BaseException | None:
    """What of a handler's error must go on: a Ctrl-C, or the cancellation of its worker.

    None if the error just ends the attempt, as all others do, whatever they derive from: many
    libraries have an error that is no Exception, and one job's must not end all others. So does a
    cancellation while nobody is cancelling, which a handler can have kept from elsewhere; and
    errors that a handler's nursery raises beside its cancellation must not outlive it.
    """
    cancelled = None
    for leaf in leaves(error):
        if is_a(leaf, KeyboardInterrupt):
            return leaf
        if is_a(leaf, trio.Cancelled):
            cancelled = leaf
    return cancelled if cancelled is not None and is_being_cancelled() else None


def is_being_cancelled() -> bool:
    """Whether the next checkpoint of this task raises Cancelled."""
    return trio.current_effective_deadline() == -math.inf


class CancellationDeadline:
    """Knows by when attempts must have ended, those that have a bound, and ends them then.

    All moments are on Trio's clock. Who owns an attempt has one at a time.
    """

    def __init__(self) -> None:
        self._ends: dict[object, tuple[float, Callable[[], None]]] = {}
        self._asleep_until = -math.inf
        self._changed = trio.lowlevel.ParkingLot()

    def expect(self, owner: object, by: float, end: Callable[[], None]) -> None:
        """Call `end` at `by`, or when it was to be called before, unless `forget` comes first."""
        earlier, _ = self._ends.get(owner, (math.inf, end))
        self._ends[owner] = min(by, earlier), end
        if by < self._asleep_until:
            self._changed.unpark_all()

    def forget(self, owner: object) -> None:
        """The attempt has ended."""
        self._ends.pop(owner, None)

    async def run(self) -> None:
        """End what is overdue, until cancelled."""
        while True:
            self._asleep_until = min((by for by, _ in self._ends.values()), default=math.inf)
            with trio.CancelScope(deadline=self._asleep_until):
                await self._changed.park()
            now = trio.current_time()
            for owner, (by, end) in list(self._ends.items()):
                if by <= now:
                    self.forget(owner)
                    end()
