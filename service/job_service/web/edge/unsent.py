"""Counts what clients have yet to read, over all connections, and bounds it."""

from collections.abc import Callable
from typing import Protocol

import trio

MAX_UNSENT_BYTES = 64 * 1024 * 1024
MAX_LEAVING_BYTES = MAX_UNSENT_BYTES // 2
SMALL_BYTES = 16 * 1024
STALLED_SECONDS = 3.0  # a few looks at which clients read


class Reader(Protocol):
    """A client that is being sent something."""

    client: str
    read_at: float  # when it was last seen to read, in the time of Trio's clock

    def cut_off(self) -> None:
        """End its connection."""


class Unsent:
    """The bytes that wait in this process until their clients read them.

    If there is no room for more, clients that have not read for STALLED_SECONDS are cut off, the
    longest first: a client that reads, however slowly, is safe from those that do not. Answers of
    up to SMALL_BYTES may always wait, so that health checks are answered whatever else goes on.

    The memory of a client that is cut off is free only when its tasks have ended, and many answers
    may be made before that. So no more than MAX_LEAVING_BYTES may be on their way out.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._held: dict[Reader, int] = {}
        self._total = 0
        self._leaving: dict[Reader, int] = {}
        self._total_leaving = 0

    def has_room(self, size: int) -> bool:
        """Whether this many bytes more may wait, once stalled clients are cut off."""
        if self._total + size > MAX_UNSENT_BYTES:
            self._cut_off_the_stalled(size)
        is_room = self._total + size <= MAX_UNSENT_BYTES
        return size <= SMALL_BYTES or (is_room and self._total_leaving <= MAX_LEAVING_BYTES)

    def hold(self, reader: Reader, size: int) -> None:
        """Count this many bytes that wait for this client; if there is no room, cut it off."""
        if self.has_room(size):
            self._held[reader] = size
            self._total += size
        else:
            self._cut_off(reader, size)

    def release(self, reader: Reader) -> None:
        """No more bytes wait for this client."""
        self._total -= self._held.pop(reader, 0)
        self._total_leaving -= self._leaving.pop(reader, 0)

    def _cut_off_the_stalled(self, wanted: int) -> None:
        latest = trio.current_time() - STALLED_SECONDS
        stalled = [reader for reader in self._held if reader.read_at <= latest]
        for reader in sorted(stalled, key=lambda reader: reader.read_at):
            is_room = self._total + wanted <= MAX_UNSENT_BYTES
            if is_room or self._total_leaving > MAX_LEAVING_BYTES:
                return
            self._cut_off(reader, self._held[reader])

    def _cut_off(self, reader: Reader, size: int) -> None:
        self.release(reader)
        self._leaving[reader] = size
        self._total_leaving += size
        reader.cut_off()
        self._report(reader.client, "cut off, because it does not read its answer")
