"""Events as messages of a stream, each encoded once for all the streams that send it."""

from collections import OrderedDict
from typing import NamedTuple

from job_service.telemetry.feed import Feed
from job_service.telemetry.log import encode_event
from job_service.telemetry.text import escaped

KEPT_BYTES = 4 * 1024 * 1024


class _Piece(NamedTuple):
    """Some messages: which event they follow, the newest one then, and their own last one."""

    after: int
    newest: int
    last: int
    data: bytes


class Frames:
    """The messages of one feed's events, of which the last KEPT_BYTES are kept."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        # The oldest first. A plain dict would search for it past all deleted entries.
        self._frames = OrderedDict[int, bytes]()
        self.kept_bytes = 0
        self._latest = _Piece(-1, -1, 0, b"")

    def of(self, number: int) -> bytes:
        """The message of the event with this number. Raises FellBehind if the feed has lost it."""
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = self._write(number)
            self.kept_bytes += len(frame)
            while self.kept_bytes > KEPT_BYTES:
                _, oldest = self._frames.popitem(last=False)
                self.kept_bytes -= len(oldest)
        return frame

    def following(self, after: int, most_events: int, most_bytes: int) -> tuple[bytes, int]:
        """The messages after event number `after` in one piece, and the number of the last of them.

        It ends with the message that makes it `most_bytes` long. Streams that take turns read the
        same, one after the other, so the latest piece is kept. Raises FellBehind.
        """
        latest, newest = self._latest, self._feed.last
        if (latest.after, latest.newest) != (after, newest):
            piece = bytearray()
            last = after
            for last in range(after + 1, min(after + most_events, newest) + 1):
                piece += self.of(last)
                if len(piece) >= most_bytes:
                    break
            latest = self._latest = _Piece(after, newest, last, bytes(piece))
        return latest.data, latest.last

    def _write(self, number: int) -> bytes:
        [event] = self._feed.read(number - 1, 1)
        line = escaped(encode_event(event))  # as in the log
        fields = self._feed.id_of(number).encode(), event.event.encode(), line
        return b"id: %b\nevent: %b\ndata: %b\n\n" % fields
