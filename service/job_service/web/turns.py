"""Lets the event streams take turns, so that however many there are, others have theirs."""

import math
from typing import Final

import trio

# About four times what a turn costs: so all turns together take about a quarter of the loop.
TURN_SECONDS: Final = 0.000_25
SECONDS_PER_BYTE: Final = 4e-9
# So much may be taken ahead: a few streams need not wait for each other.
BURST_SECONDS: Final = 0.02
# Where turns take longer, as on a busy machine, it is this that leaves time to others.
MOST_AT_ONCE: Final = 8


class Turns:
    """The turns of all streams of an app, in the order in which they are asked for.

    Without them, a request would wait at each event until thousands of streams have sent it.
    """

    def __init__(self) -> None:
        self._free_at = -math.inf
        self._at_once = 0  # in the present round of the loop
        self._waiting = trio.lowlevel.ParkingLot()

    async def take(self) -> None:
        """Return when it is the caller's turn. It is a checkpoint only if that is not at once."""
        now = trio.current_time()
        begins_at = max(self._free_at, now - BURST_SECONDS)
        self._free_at = begins_at + TURN_SECONDS
        if begins_at > now:
            await trio.sleep_until(begins_at)
        if self._waiting or self._at_once == MOST_AT_ONCE:
            await self._waiting.park()
        else:
            self._count(1)

    def prolong(self, sent_bytes: int) -> None:
        """The turn that was taken sends so much, which takes time, too."""
        self._free_at += sent_bytes * SECONDS_PER_BYTE

    def _count(self, turns: int) -> None:
        if self._at_once == 0:
            trio.lowlevel.current_trio_token().run_sync_soon(self._next_round)
        self._at_once += turns

    def _next_round(self) -> None:
        self._at_once = 0
        if woken := self._waiting.unpark(count=MOST_AT_ONCE):
            self._count(len(woken))
