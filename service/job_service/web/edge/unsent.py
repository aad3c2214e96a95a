"""What clients have yet to read, counted over all connections, and bounded."""

from collections.abc import Callable
from typing import Protocol

import trio

MAX_UNSENT_BYTES = 64 * 1024 * 1024
SMALL_BYTES = 16 * 1024
STALLED_SECONDS = 1.0


class Reader(Protocol):
    """A client to whom something is being sent."""

    client: str
    read_at: float  # when it last took a piece, in the time of Trio's clock

    def cut_off(self) -> None:
        """End its connection."""


class Unsent:
    """The bytes that wait in this process until their clients read them.

    Where there is no room for more, clients that have not read for STALLED_SECONDS are cut off, the
    longest first: one that reads, however slowly, is safe from those that do not. What is not over
    SMALL_BYTES is always let wait, so that health checks are answered whatever else goes on.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._held: dict[Reader, int] = {}
        self._total = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may wait, once those who stall are gone."""
        if self._total + size > MAX_UNSENT_BYTES:
            self._cut_off_the_stalled(size)
        return size <= SMALL_BYTES or self._total + size <= MAX_UNSENT_BYTES

    def hold(self, reader: Reader, size: int) -> None:
        """Count so many bytes that wait for this client; where there is no room, cut it off."""
        if self.has_room(size):
            self._held[reader] = size
            self._total += size
        else:
            self._cut_off(reader)

    def release(self, reader: Reader) -> None:
        """No more bytes wait for this client."""
        self._total -= self._held.pop(reader, 0)

    def _cut_off_the_stalled(self, wanted: int) -> None:
        latest = trio.current_time() - STALLED_SECONDS
        stalled = [reader for reader in self._held if reader.read_at <= latest]
        for reader in sorted(stalled, key=lambda reader: reader.read_at):
            if self._total + wanted <= MAX_UNSENT_BYTES:
                return
            self._cut_off(reader)

    def _cut_off(self, reader: Reader) -> None:
        self.release(reader)
        reader.cut_off()
        self._report(reader.client, "cut off, because it does not read what waits for it")
