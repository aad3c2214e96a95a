"""Events as messages of a stream, each encoded once for all the streams that send it."""

from collections import OrderedDict

from job_service.telemetry.feed import Feed
from job_service.telemetry.log import encode_event
from job_service.telemetry.text import escaped

KEPT_BYTES = 4 * 1024 * 1024


class Frames:
    """The messages of one feed's events, of which the last KEPT_BYTES are kept."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        # The oldest first. A plain dict would search for it past all deleted entries.
        self._frames = OrderedDict[int, bytes]()
        self.kept_bytes = 0

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

    def _write(self, number: int) -> bytes:
        [event] = self._feed.read(number - 1, 1)
        line = escaped(encode_event(event))  # as in the log
        fields = self._feed.id_of(number).encode(), event.event.encode(), line
        return b"id: %b\nevent: %b\ndata: %b\n\n" % fields
