"""The live feed: the last events in a bounded ring, for readers that follow at their own pace."""

import secrets
from collections import deque
from sys import getsizeof
from typing import Final

import trio
from msgspec import UNSET, Raw

from job_service.telemetry.emitter import Listener, Observer
from job_service.telemetry.events import EVENTS, Event, JobCreated

# The ring is full when it has as many events, or as many bytes of texts that may be long.
CAPACITY = 20_000
CAPACITY_BYTES = 8 * 1024 * 1024

# The fields whose texts may be long, of each kind of event that has any.
_LONG_FIELDS: Final = {
    kind: names
    for kind in EVENTS.values()
    if (
        names := {"after", "error", "fields", "message", "traceback"}.intersection(
            kind.__struct_fields__
        )
    )
}


class FellBehind(Exception):
    """A reader was too slow: the event that it is to read next is no longer kept."""


class Feed(Listener):
    """One service's feed, which listens to its events.

    Events are numbered from 1. A reader keeps the number of the last event that it has read, waits
    for another one and reads on from there. The feed keeps nothing for it. So readers cost no
    memory, however many there are and however slow they are.
    """

    def __init__(self, capacity: int = CAPACITY, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._run = secrets.token_hex(4)  # so that ids from before a restart can be told
        self._ring: deque[Event] = deque(maxlen=capacity)
        self._capacity_bytes = capacity_bytes
        self._long = deque[tuple[int, int]]()  # numbers and bytes of events with long texts
        self._bytes = 0  # of those
        self._last = 0
        self._news: trio.Event | None = None  # only while somebody waits: that is cheapest to test
        self._loop: trio.lowlevel.TrioToken | None = None  # the one that they wait on
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event; 0 if there is none yet."""
        return self._last

    def observer_of(self, kind: type[Event]) -> Observer | None:
        """What keeps such events, as structs, if they are streamed. Who reads one encodes it."""
        if not kind.streamed:
            return None
        if kind is JobCreated:
            return self._keep_created
        return self._keep_long if kind in _LONG_FIELDS else self._keep

    def close(self) -> None:
        """Let the readers end as soon as they have read all events."""
        self._closed = True
        self._wake()

    def ended(self, after: int) -> bool:
        """Whether nothing comes after event number `after`, because the feed is closed."""
        return self._closed and after == self._last

    async def wait(self, after: int) -> None:
        """Return when there is an event after number `after`, or when the feed is closed.

        It is always a checkpoint. Cancelling it loses nothing.
        """
        if after < self._last or self._closed:
            await trio.lowlevel.checkpoint()
            return
        if self._news is None:
            self._news = trio.Event()
            self._loop = trio.lowlevel.current_trio_token()
        await self._news.wait()

    def read(self, after: int, limit: int) -> list[Event]:
        """The events that follow number `after`, oldest first, at most `limit` of them.

        Raises FellBehind if the first of them is no longer kept.
        """
        start = after - self._before_oldest
        if start < 0:
            raise FellBehind(f"event {after + 1} is no longer kept")
        stop = min(start + limit, len(self._ring))
        return [self._ring[index] for index in range(start, stop)]

    def id_of(self, number: int) -> str:
        """The id of the event with this number, `<run>-<number>`."""
        return f"{self._run}-{number}"

    def number_of(self, event_id: str) -> int | None:
        """The number in an id, if reading can go on after it.

        None if that event is no longer kept, if the id is of another run, or if it is no id.
        """
        run, _, digits = event_id.rpartition("-")
        if run != self._run or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            return None
        number = int(digits)
        return number if self._before_oldest <= number <= self._last else None

    @property
    def _before_oldest(self) -> int:
        return self._last - len(self._ring)

    def _keep(self, event: Event) -> None:
        self._ring.append(event)
        self._last += 1
        if self._news is not None:
            self._wake()

    def _keep_long(self, event: Event) -> None:
        self._keep(event)
        self._make_room(_text_bytes(event))

    def _keep_created(self, event: Event) -> None:
        if isinstance(event, JobCreated) and event.after is UNSET:  # as of nearly all
            self._keep(event)
        else:
            self._keep_long(event)

    def _make_room(self, weight: int) -> None:
        """Drop the oldest events if need be: the newest one has texts of so many bytes."""
        self._long.append((self._last, weight))
        self._bytes += weight
        while self._bytes > self._capacity_bytes or self._long[0][0] <= self._before_oldest:
            number, bytes_freed = self._long.popleft()
            self._bytes -= bytes_freed
            while self._before_oldest < number:
                self._ring.popleft()

    def _wake(self) -> None:
        # While the loop is blocked, events come from another thread. It can't wake tasks of this
        # loop, even if it has a loop of its own.
        here = trio.lowlevel.current_trio_token() if trio.lowlevel.in_trio_run() else None
        if self._news is not None and here is self._loop:
            self._news.set()
            self._news = None


def _text_bytes(event: Event) -> int:
    """The memory that its long texts take."""
    weight = 0
    for name in _LONG_FIELDS[type(event)]:
        value = getattr(event, name)
        if value is not UNSET:
            weight += len(value) if isinstance(value, Raw) else getsizeof(value)
            if isinstance(value, tuple):
                weight += sum(map(getsizeof, value))
    return weight
