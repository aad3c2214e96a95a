"""The live stream: `GET /events`, the feed as server-sent events."""

from collections.abc import AsyncGenerator, Callable

import trio
from quart import Quart, Response, request
from werkzeug.datastructures import MultiDict

from job_service.telemetry.events import EVENTS, Event
from job_service.telemetry.feed import Feed, FellBehind
from job_service.web.frames import Frames
from job_service.web.ids import read_id
from job_service.web.problems import bad_query

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 1_000
CHUNK_EVENTS = 200
CHUNK_BYTES = 64 * 1024
PAUSE_SECONDS = 0.000_25  # for each open stream
MAX_PAUSE_SECONDS = 1.0

Wanted = Callable[[Event], bool]


def add_event_routes(app: Quart, feed: Feed) -> None:
    """`/events`, on `feed`.

    A stream begins with the present. With a `Last-Event-ID` it begins with what came after that;
    where the feed can't tell, an event `reset` says that what the client knows may have holes, and
    the stream goes on with the present. Ids also come without an event, at the beginning and with
    each heartbeat: a client that saw nothing, or had most of it filtered out, can resume as well.

    The stream ends when the feed is closed, and for a client that falls behind it.
    """

    streams = _Streams(feed)

    @app.get("/events")
    async def stream_events() -> Response:
        is_wanted = _wanted(request.args)
        last_id = request.headers.get("Last-Event-ID")
        after = feed.number_of(last_id) if last_id else feed.last
        response = Response(
            streams.stream(after, is_wanted) if request.method == "GET" else b"",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            content_type="text/event-stream",
        )
        response.headers.pop("Content-Length", None)  # a HEAD's is not that of its empty body
        response.timeout = None
        return response


class _Streams:
    """The streams of one app.

    A stream that has read what there is pauses before it reads on, the longer the more streams
    there are: else each event would cost its job a turn of all of them. So together they take up
    about a quarter of the loop's time, and a lone one is as quick as the events.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._open = 0
        self._frames = Frames(feed)

    async def stream(self, after: int | None, is_wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """What is sent to one client, from behind event number `after`; None for a `reset`."""
        self._open += 1
        try:
            feed = self._feed
            reset = "" if after is not None else "event: reset\ndata: {}\n"
            number = feed.last if after is None else after
            yield f"retry: {RETRY_MILLISECONDS}\n{reset}id: {feed.id_of(number)}\n\n".encode()
            heartbeat_at = trio.current_time() + HEARTBEAT_SECONDS
            while not feed.ended(number):
                with trio.move_on_at(heartbeat_at):
                    await feed.wait(number)
                try:
                    chunk, number = self._read_chunk(number, is_wanted)
                except FellBehind:
                    return  # the client comes back for the rest and is told then that it is lost
                if not chunk and trio.current_time() >= heartbeat_at:
                    chunk = f": heartbeat\nid: {feed.id_of(number)}\n\n".encode()
                if chunk:
                    yield chunk
                    heartbeat_at = trio.current_time() + HEARTBEAT_SECONDS
                if number == feed.last:
                    await trio.sleep(min(self._open * PAUSE_SECONDS, MAX_PAUSE_SECONDS))
        finally:
            self._open -= 1

    def _read_chunk(self, after: int, is_wanted: Wanted) -> tuple[bytes, int]:
        """The next events in one piece, and the number of the last that was read for it."""
        chunk = bytearray()
        number = after
        for number, event in enumerate(self._feed.read(after, CHUNK_EVENTS), after + 1):
            if is_wanted(event):
                chunk += self._frames.of(number)
            if len(chunk) >= CHUNK_BYTES:
                break
        return bytes(chunk), number


def _wanted(query: MultiDict[str, str]) -> Wanted:
    names = _values(query, "event")
    if not names <= EVENTS.keys():
        raise bad_query("event", f"some of {', '.join(sorted(EVENTS))}")
    job_ids = {_job_id(text) for text in _values(query, "job_id")}

    def is_wanted(event: Event) -> bool:
        return (not names or event.event in names) and (
            not job_ids or getattr(event, "job_id", None) in job_ids
        )

    return is_wanted


def _values(query: MultiDict[str, str], parameter: str) -> set[str]:
    return {value for text in query.getlist(parameter) for value in text.split(",")}


def _job_id(text: str) -> str:
    job_id = read_id(text)
    if job_id is None:
        raise bad_query("job_id", "the id of a job")
    return job_id
