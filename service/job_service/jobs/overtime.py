"""Bounds what cancelled handlers may take to end: after that, their jobs go on without them."""

import math
from collections.abc import Callable
from typing import Final

import trio

CLEANUP_SECONDS: Final = 2.0  # that handlers have when they are cancelled


class Overtime:
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
