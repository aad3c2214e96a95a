"""The event stream as a client follows it, over any number of connections, without any I/O."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from job_service.client.answers import error_of
from job_service.client.encoding import header_value
from job_service.client.exchange import Answer, Request
from job_service.errors import UnexpectedAnswer, Unreachable

_SILENCE_SECONDS: Final = 45.0  # three heartbeats
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_FIRST_PAUSE_SECONDS: Final = 1.0  # until the service says how long


class StreamedEvent(msgspec.Struct, frozen=True):
    """One event of the service's stream: what happened, with the fields of its log line.

    `id` is where a stream can go on that begins with `last_event_id`. An event `reset` has no
    fields: events were lost, because the service was restarted or this client was too slow.
    """

    id: str
    event: str
    fields: dict[str, Any]


class Follower:
    """What one reader of the stream knows: where it is, and how long to wait before it comes back.

    `patience_seconds` is how long it tries in vain to have a connection, by the clock `now`. An
    attempt that is under way then is the last one.
    """

    def __init__(
        self,
        job_ids: Sequence[str],
        events: Sequence[str],
        last_event_id: str | None,
        patience_seconds: float,
        now: Callable[[], float],
    ) -> None:
        query = {"job_id": list(job_ids), "event": list(events)}
        self._query = {name: values for name, values in query.items() if values}
        self._last_id = last_event_id or ""
        self._patience_seconds = patience_seconds
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._now = now
        self._away_since: float | None = None
        self._unread = b""
        self._heard_at = now()

    def request(self) -> Request:
        """What to ask for now: the events that follow on those that were read."""
        self._unread = b""
        if self._away_since is None:
            self._away_since = self._now()
        headers = {}
        if self._last_id:
            headers["Last-Event-ID"] = header_value(self._last_id, "the id of an event")
        return Request(
            method="GET",
            path="/events",
            query=self._query,
            headers=headers,
            timeout_seconds=_SILENCE_SECONDS,
        )

    def accept(self, answer: Answer) -> None:
        """See that the stream begins. Raises what the problem says that came instead."""
        if answer.status != 200:
            raise error_of(answer)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise UnexpectedAnswer("its answer is not a stream of events")
        self._away_since = None
        self._heard_at = self._now()

    def pause_after(self, why: str) -> float:
        """Seconds to wait before the next request, as the stream has ended: `why` says of what.

        Raises Unreachable when patience is over.
        """
        now = self._now()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since + self._pause_seconds > self._patience_seconds:
            raise Unreachable(why)
        return self._pause_seconds

    def read(self, piece: bytes) -> Iterator[StreamedEvent]:
        """The events that are complete with this piece of the stream.

        Raises UnexpectedAnswer, or Unreachable if pieces come, but no message has for as long as
        the stream may be silent.
        """
        *messages, self._unread = (self._unread + piece).split(b"\n\n")
        if messages:
            self._heard_at = self._now()
        elif self._now() - self._heard_at > _SILENCE_SECONDS:
            raise Unreachable("the stream says nothing")
        if len(self._unread) > _MAX_MESSAGE_BYTES:
            raise UnexpectedAnswer("what it sends is not a stream of events")
        for message in messages:
            if (event := self._event(message)) is not None:
                yield event

    def _event(self, message: bytes) -> StreamedEvent | None:
        values = dict[str, str]()
        for line in message.split(b"\n"):
            name, _, value = line.decode("utf-8", "replace").partition(":")
            values[name] = value.removeprefix(" ")
        self._last_id = values.get("id", self._last_id)
        if values.get("retry", "").isdigit():
            self._pause_seconds = int(values["retry"]) / 1_000
        if "event" not in values:
            return None
        try:
            fields = msgspec.json.decode(values.get("data", ""), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise UnexpectedAnswer(f"what it sends is not a stream of events: {error}") from error
        return StreamedEvent(self._last_id, values["event"], fields)
