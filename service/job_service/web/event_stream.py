"""The live stream: `GET /events`, the feed as server-sent events."""

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

import trio
from quart import Quart, Response, request

from job_service.access.tokens import Tokens
from job_service.jobs.queueing.constraints import constraint
from job_service.telemetry.events import EVENTS, Event
from job_service.telemetry.feed import Feed, FellBehind
from job_service.web.asgi import present_request
from job_service.web.frames import Frames
from job_service.web.queries import Query, takes
from job_service.web.turns import Turns

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 1_000
CHUNK_EVENTS = 200
CHUNK_BYTES = 64 * 1024

_EVENT_NAMES: Final = tuple(sorted(EVENTS))

if TYPE_CHECKING:
    EventName = str
else:
    EventName = Literal[_EVENT_NAMES]

Wanted = Callable[[Event], bool] | None  # None if all events are


class EventsQuery(Query, frozen=True):
    """The query of `GET /events`."""

    job_id: (
        Annotated[
            list[UUID],
            constraint(
                "the id of a job",
                description="Only events of these jobs. Repeat it, or separate ids with commas.",
            ),
        ]
        | None
    ) = None
    event: (
        Annotated[
            list[EventName],
            constraint(
                f"some of {', '.join(_EVENT_NAMES)}",
                description="Only these events. Repeat it, or separate names with commas.",
            ),
        ]
        | None
    ) = None


def add_event_routes(app: Quart, feed: Feed, tokens: Tokens) -> None:
    """`/events`, on `feed`, for those who have one of `tokens`.

    A stream begins with the present, or after the event of a `Last-Event-ID`. If the feed has lost
    some that came after it, the stream says so with an event `reset`, and goes on with the present.
    Ids also come without an event, at the beginning and with each heartbeat, so that a client can
    resume even if it has seen no event yet, or its filter let few pass.

    The stream ends when the feed is closed, when the client falls behind it, or when its token is
    taken no more. The event that tells of new tokens wakes all streams, so that they look.
    """

    streams = _Streams(feed)

    @app.get("/events")
    @takes(EventsQuery)
    async def stream_events(query: EventsQuery) -> Response:
        is_wanted = _wanted(query)
        last_id = request.headers.get("Last-Event-ID")
        # Where it begins is settled before its head: who sees that, and reads how things are, must
        # miss nothing that happens then.
        after = feed.number_of(last_id) if last_id else feed.last
        begin = (feed.last, True) if after is None else (after, False)
        may_stay = partial(tokens.still_take, present_request().caller)
        response = Response(
            streams.stream(*begin, is_wanted, may_stay) if request.method == "GET" else b"",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            content_type="text/event-stream",
        )
        response.headers.pop("Content-Length", None)  # a HEAD's is not that of its empty body
        response.timeout = None
        return response


class _Streams:
    """The streams of one app, which take turns: the more there are, the more events a turn has."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._frames = Frames(feed)
        self._turns = Turns()

    async def stream(
        self, number: int, is_reset: bool, is_wanted: Wanted, may_stay: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """What one client is sent: what comes after event `number`, behind a `reset` if need be."""
        feed = self._feed
        reset = "event: reset\ndata: {}\n" if is_reset else ""
        yield f"retry: {RETRY_MILLISECONDS}\n{reset}id: {feed.id_of(number)}\n\n".encode()
        heartbeat_at = trio.current_time() + HEARTBEAT_SECONDS
        while not feed.ended(number):
            with trio.move_on_at(heartbeat_at):
                await feed.wait(number)
            await self._turns.take()
            if not may_stay():
                return  # the client comes back, and is refused
            try:
                chunk, number = self._read_chunk(number, is_wanted)
            except FellBehind:
                return  # the client comes back for the rest, and gets a `reset`
            if not chunk and trio.current_time() >= heartbeat_at:
                chunk = f": heartbeat\nid: {feed.id_of(number)}\n\n".encode()
            if chunk:
                self._turns.prolong(len(chunk))
                yield chunk
                heartbeat_at = trio.current_time() + HEARTBEAT_SECONDS

    def _read_chunk(self, after: int, is_wanted: Wanted) -> tuple[bytes, int]:
        """The next events in one piece, and the number of the last that it read."""
        if is_wanted is None:
            return self._frames.following(after, CHUNK_EVENTS, CHUNK_BYTES)
        chunk = bytearray()
        number = after
        for number, event in enumerate(self._feed.read(after, CHUNK_EVENTS), after + 1):
            if is_wanted(event):
                chunk += self._frames.of(number)
            if len(chunk) >= CHUNK_BYTES:
                break
        return bytes(chunk), number


def _wanted(query: EventsQuery) -> Wanted:
    names = frozenset(query.event or ())
    job_ids = frozenset(map(str, query.job_id or ()))
    if not (names or job_ids):
        return None

    def is_wanted(event: Event) -> bool:
        return (not names or event.event in names) and (
            not job_ids or getattr(event, "job_id", None) in job_ids
        )

    return is_wanted
