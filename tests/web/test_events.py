"""`GET /events`: the live stream, as a client's EventSource sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import Headers

from job_service.access.tokens import EVERYBODY, Token, Tokens
from job_service.telemetry.events import (
    EVENTS,
    ConnectionFailed,
    Event,
    JobFailed,
    JobRejected,
    TokensReloaded,
)
from job_service.telemetry.feed import Feed
from job_service.web.event_stream import (
    CHUNK_BYTES,
    CHUNK_EVENTS,
    HEARTBEAT_SECONDS,
    add_event_routes,
)
from job_service.web.guards import Access
from tests.telemetry.sample import name_of, sample
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve
from tests.web.wire import PATIENCE_SECONDS, request

PATIENCE = 2 * HEARTBEAT_SECONDS
JOB_ID = "01890000-0000-7000-8000-000000000001"
OTHER_ID = "01890000-0000-7000-8000-000000000002"


@dataclass(frozen=True)
class Message:
    """One block of the stream."""

    event: str | None = None
    data: Any = None
    id: str | None = None
    retry: str | None = None
    comment: str | None = None


def parse(block: str) -> Message:
    """A block as the standard of server-sent events reads it; each field is to come once."""
    fields: dict[str, Any] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        name = name or "comment"
        assert name not in fields, block
        fields[name] = value
    if "data" in fields:
        fields["data"] = msgspec.json.decode(fields["data"])
    return Message(**fields)


class Client:
    """A client of `/events`, connected without a socket, that takes what comes unless paused."""

    def __init__(self, app: Any, query: str, headers: dict[str, str], method: str) -> None:
        self._app = app
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/events",
            "raw_path": b"/events",
            "root_path": "",
            "query_string": query.removeprefix("?").encode(),
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8080),
            "extensions": {},
        }
        self.head = Headers()
        self.on_head: Callable[[], None] = lambda: None
        self.chunks: list[bytes] = []
        self.complete = False
        self.left = trio.Event()
        self.resume = trio.Event()
        self.resume.set()
        self._gone = trio.Event()
        self._asked = False
        self._to_reader, self._from_app = trio.open_memory_channel[str](10_000)

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Ask, and take the answer until it ends."""
        self._task_status = task_status
        with self._to_reader:
            await self._app(self._scope, self._receive, self._send)
        self.left.set()

    async def next(self) -> Message:
        """The next block."""
        with trio.fail_after(PATIENCE):
            return parse(await self._from_app.receive())

    async def names(self, number: int) -> list[str | None]:
        """The names of the next events."""
        return [(await self.next()).event for _ in range(number)]

    def waiting(self) -> int:
        """How many blocks have come and were not taken yet."""
        return self._from_app.statistics().current_buffer_used

    async def until_end(self) -> list[Message]:
        """All blocks until the stream ends, as it is to do cleanly."""
        with trio.fail_after(PATIENCE):
            blocks = [parse(block) async for block in self._from_app]
            await self.left.wait()
        assert self.complete
        return blocks

    def pause(self) -> None:
        """Take nothing until `resume` is set."""
        self.resume = trio.Event()

    def go(self) -> None:
        """Close the connection."""
        self._gone.set()

    async def _receive(self) -> ASGIReceiveEvent:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: ASGISendEvent) -> None:
        await self.resume.wait()
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            for name, value in message["headers"]:
                self.head.add(name.decode(), value.decode())
            self.on_head()
            self._task_status.started()
        elif message["type"] == "http.response.body":
            self.complete = not message["more_body"]
            if message["body"]:
                self.chunks.append(message["body"])
            *blocks, rest = message["body"].decode().split("\n\n")
            assert rest == ""
            for block in blocks:
                await self._to_reader.send(block)


class OpenRequest(TrioRequest):
    """A request to a service that has no tokens."""

    caller = EVERYBODY


Listen = Callable[..., Awaitable[Client]]


@pytest.fixture
def feed() -> Feed:
    """The feed of the streams that `listen` opens."""
    return Feed(capacity=1_000)


@pytest.fixture
def listen(nursery: trio.Nursery, feed: Feed) -> Listen:
    """Connects a client to `/events`, of `app` if one is given; its opening is still to come."""
    bare_app = QuartTrio(__name__, static_folder=None)
    bare_app.request_class = OpenRequest
    add_event_routes(bare_app, feed, Tokens())

    async def connect(
        query: str = "",
        last_id: str | None = None,
        app: Any = bare_app,
        method: str = "GET",
        token: str | None = None,
        on_head: Callable[[], None] = lambda: None,
    ) -> Client:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        client = Client(app, query, headers, method)
        client.on_head = on_head
        await nursery.start(client.run)
        return client

    return connect


@pytest.fixture
async def client(listen: Listen) -> Client:
    """A client that has its opening and waits for events."""
    client = await listen()
    await client.next()
    return client


def observe(feed: Feed, number: int, event: Event | None = None) -> None:
    """Let something happen so many times."""
    for _ in range(number):
        feed.observe(event or sample(JobRejected))


async def test_each_event_comes_as_its_log_line(running_api: Api, listen: Listen) -> None:
    """What the log says of a job's life the stream says too, with the event's name and an id."""
    client = await listen(app=running_api.app)
    await client.next()
    before = len(running_api.rig.lines)
    await running_api.submit("echo", "hello")
    messages = [await client.next() for _ in range(4)]
    lines = running_api.rig.lines[before:]
    assert [message.data for message in messages] == lines
    assert [list(message.data) for message in messages] == [list(line) for line in lines]
    assert [message.event for message in messages] == [line["event"] for line in lines]
    assert len({message.id for message in messages}) == 4


async def test_what_comes_in_floods_is_streamed(make_api: MakeApi, listen: Listen) -> None:
    """Rejections are too many for the log, and still there for who watches."""
    api = make_api(queue_capacity=1)
    client = await listen(app=api.app)
    await client.next()
    await api.submit("echo")
    assert (await api.post(b'{"type": "echo"}')).status == 429
    assert "job_rejected" in await client.names(4)


@pytest.mark.parametrize("kind", EVENTS.values(), ids=name_of)
async def test_every_event_of_the_vocabulary_fits_one_message(
    feed: Feed, client: Client, listen: Listen, kind: type[Event]
) -> None:
    """Tracebacks with their lines too; and each name is known to the filter."""
    picky = await listen(f"?event={name_of(kind)}")
    await picky.next()
    observe(feed, 1, sample(kind))
    message = await client.next()
    assert message.event == name_of(kind)
    assert message.data == msgspec.to_builtins(sample(kind))
    assert await picky.next() == message


async def test_text_that_is_not_unicode_ends_no_stream(feed: Feed, client: Client) -> None:
    """A lone surrogate is told as the log tells it."""
    observe(feed, 1, sample(ConnectionFailed, error="not \udcff"))
    assert (await client.next()).data["error"] == "not \\udcff"


async def test_the_stream_says_what_it_is(listen: Listen) -> None:
    """Its type, and that nothing on the way may keep or collect it; it begins with a retry time."""
    client = await listen()
    assert client.head["Content-Type"] == "text/event-stream"
    assert client.head["Cache-Control"] == "no-store"
    assert client.head["X-Accel-Buffering"] == "no"
    opening = await client.next()
    assert int(opening.retry or "") > 0
    assert opening.event is None


async def test_a_stream_begins_with_the_present(feed: Feed, listen: Listen) -> None:
    """Who does not say what it has seen gets what happens from now on."""
    observe(feed, 3)
    client = await listen()
    await client.next()
    observe(feed, 1, sample(JobFailed))
    assert await client.names(1) == ["job_failed"]
    await trio.testing.wait_all_tasks_blocked()
    assert client.waiting() == 0


async def test_who_reconnects_misses_nothing(feed: Feed, listen: Listen) -> None:
    """With the last id that it has seen, even that of an opening, it gets all that came after."""
    client = await listen()
    opening = await client.next()
    observe(feed, 3)
    first = await client.next()
    for last, missed in ((opening.id, 3), (first.id, 2)):
        again = await listen(last_id=last)
        assert (await again.next()).id == last
        assert await again.names(missed) == ["job_rejected"] * missed
        await trio.testing.wait_all_tasks_blocked()
        assert again.waiting() == 0


@pytest.mark.parametrize(
    "last_id",
    [
        pytest.param(lambda feed: feed.id_of(0), id="gone by"),
        pytest.param(lambda feed: feed.id_of(feed.last + 1), id="not given yet"),
        pytest.param(lambda _: Feed().id_of(0), id="of another run"),
        pytest.param(lambda _: "1001", id="nonsense"),
    ],
)
async def test_who_can_t_be_told_all_is_told_so(
    feed: Feed, listen: Listen, last_id: Callable[[Feed], str]
) -> None:
    """If events may be missing, a reset says so, and the stream goes on with the present."""
    observe(feed, 1_001)
    client = await listen(last_id=last_id(feed))
    reset = await client.next()
    assert (reset.event, reset.data, reset.id) == ("reset", {}, feed.id_of(1_001))
    observe(feed, 1, sample(JobFailed))
    assert await client.names(1) == ["job_failed"]
    again = await listen(last_id=reset.id)
    assert (await again.next()).event is None
    assert await again.names(1) == ["job_failed"]


async def test_whoever_reads_anew_at_the_head_of_a_stream_misses_nothing(
    feed: Feed, listen: Listen
) -> None:
    """What happens from the head of the answer on is in the stream, behind its reset, too."""
    happens = partial(observe, feed, 1, sample(JobFailed))
    client = await listen(last_id="nonsense", on_head=happens)
    assert await client.names(2) == ["reset", "job_failed"]


async def test_a_stream_ends_when_its_token_is_taken_no_more(
    make_api: MakeApi, listen: Listen
) -> None:
    """At once, and without the events from then on. Those of other tokens go on."""
    access = Access(tokens=taking("bob read hers", "al read his"))
    api = make_api(access)
    feed = api.rig.feed
    gone, stays = [await listen(app=api.app, token=token) for token in ("hers", "his")]
    observe(feed, 1)
    access.tokens.replace([Token("his", "operate", "al")])
    observe(feed, 1, sample(TokensReloaded))
    assert [message.event for message in await gone.until_end()] == [None]
    observe(feed, 1)
    await stays.next()
    assert await stays.names(3) == ["job_rejected", "tokens_reloaded", "job_rejected"]


async def test_filters_let_through_what_was_asked_for(feed: Feed, listen: Listen) -> None:
    """By job, by event or by both; several of each with commas, repeated, or both."""
    told = [
        sample(kind, **({"job_id": job_id} if job_id else {}))
        for job_id, kind in (
            (JOB_ID, JobFailed),
            (OTHER_ID, JobFailed),
            (JOB_ID, JobFailed),
            (None, JobRejected),
            (None, ConnectionFailed),
        )
    ]
    for query, passed in {
        "": [0, 1, 2, 3, 4],
        f"?job_id={JOB_ID}": [0, 2],
        f"?job_id={JOB_ID.upper()}": [0, 2],
        f"?job_id={JOB_ID},{OTHER_ID}": [0, 1, 2],
        f"?job_id={JOB_ID}&job_id={OTHER_ID}": [0, 1, 2],
        "?event=job_rejected": [3],
        "?event=job_rejected,connection_failed": [3, 4],
        "?event=job_rejected&event=job_failed,connection_failed": [0, 1, 2, 3, 4],
        f"?event=job_failed,job_rejected&job_id={OTHER_ID}": [1],
        f"?event=job_rejected&job_id={OTHER_ID}": [],
    }.items():
        client = await listen(query)
        await client.next()
        for event in told:
            feed.observe(event)
        await trio.testing.wait_all_tasks_blocked()
        wanted = [msgspec.to_builtins(told[index]) for index in passed]
        assert client.waiting() == len(wanted), query
        assert [(await client.next()).data for _ in wanted] == wanted


@pytest.mark.parametrize(
    "query",
    [
        *("event=", "event=nothing", "event=job_failed,", "event=JOB_FAILED", "event=reset"),
        *("event=job_failed&event=no", "event=job_failed,%20job_created", "event=None"),
        *("job_id=", "job_id=me", f"job_id={JOB_ID},", f"job_id={JOB_ID}&job_id=0"),
    ],
)
async def test_a_filter_that_nothing_passes_is_refused(api: Api, query: str) -> None:
    """A typo is a 400 that names the parameter, and not a silent stream."""
    detail = check_problem(await api.ask(f"/events?{query}"), 400, "malformed")
    assert detail.startswith(query.partition("=")[0])


async def test_a_quiet_stream_has_a_heartbeat(
    autojump_clock: trio.abc.Clock, client: Client
) -> None:
    """A comment each HEARTBEAT_SECONDS shows both ends that the other is there."""
    for _ in range(3):
        began = trio.current_time()
        beat = await client.next()
        assert trio.current_time() - began == pytest.approx(HEARTBEAT_SECONDS)
        assert beat.comment
        assert (beat.event, beat.data) == (None, None)


async def test_events_are_heartbeat_enough(
    autojump_clock: trio.abc.Clock, feed: Feed, client: Client
) -> None:
    """If something is sent anyway, there is no other sign of life, until that was long ago."""
    for _ in range(10):
        await trio.sleep(HEARTBEAT_SECONDS * 0.7)
        observe(feed, 1)
        assert await client.names(1) == ["job_rejected"]
    began = trio.current_time()
    assert (await client.next()).comment
    assert trio.current_time() - began == pytest.approx(HEARTBEAT_SECONDS)


@pytest.mark.slow
async def test_who_filters_everything_out_can_still_resume(
    autojump_clock: trio.abc.Clock, feed: Feed, listen: Listen
) -> None:
    """The heartbeat comes in the busiest times, and its id keeps up with what was passed over."""
    client = await listen("?event=job_failed")
    await client.next()
    for _ in range(5):
        for _ in range(10):
            observe(feed, 80)
            await trio.sleep(HEARTBEAT_SECONDS / 10)
        beat = await client.next()
        assert beat.comment
        assert beat.id is not None
        again = await listen("?event=job_failed", last_id=beat.id)
        assert (await again.next()).event is None


@pytest.mark.slow
async def test_a_stream_has_no_end_of_its_own(
    autojump_clock: trio.abc.Clock, feed: Feed, client: Client
) -> None:
    """A client may listen for a day."""
    await trio.sleep(24 * 60 * 60)
    observe(feed, 1)
    while (message := await client.next()).comment:
        pass
    assert message.event == "job_rejected"


async def test_many_events_travel_together(feed: Feed, client: Client) -> None:
    """A burst goes out in few pieces, each bounded."""
    observe(feed, 2 * CHUNK_EVENTS + 1)
    await trio.testing.wait_all_tasks_blocked()
    _, *pieces = client.chunks
    assert [piece.count(b"\n\n") for piece in pieces] == [CHUNK_EVENTS, CHUNK_EVENTS, 1]
    assert max(map(len, pieces)) < 2 * CHUNK_BYTES


async def test_the_more_streams_there_are_the_more_events_travel_together(
    feed: Feed, listen: Listen, autojump_clock: trio.abc.Clock
) -> None:
    """A crowd of readers does not make each event a turn of all of them, and misses nothing."""
    clients = [await listen() for _ in range(40)]
    for client in clients:
        await client.next()
    for _ in range(50):  # one each millisecond; a stream among 40 reads every ten
        observe(feed, 1)
        await trio.sleep(0.001)
    await trio.sleep(0.1)
    for client in clients:
        _, *pieces = client.chunks
        assert sum(piece.count(b"\n\n") for piece in pieces) == 50
        assert len(pieces) <= 8


async def test_a_lone_stream_is_told_of_each_event_at_once(
    feed: Feed, client: Client, autojump_clock: trio.abc.Clock
) -> None:
    """Without a crowd, nobody waits for others."""
    for _ in range(50):
        began = trio.current_time()
        observe(feed, 1)
        await client.next()
        assert trio.current_time() - began <= 0.001
        await trio.sleep(0.001)


async def test_large_events_travel_in_bounded_pieces(feed: Feed, client: Client) -> None:
    """A burst of long tracebacks is no single piece of megabytes, and arrives whole."""
    observe(feed, 100, sample(JobFailed, traceback="x" * 10_000))
    await trio.testing.wait_all_tasks_blocked()
    assert max(map(len, client.chunks)) < CHUNK_BYTES + 11_000
    assert await client.names(100) == ["job_failed"] * 100


async def test_a_client_that_falls_behind_is_cut_off(
    feed: Feed, client: Client, listen: Listen
) -> None:
    """Nothing is buffered for it without end: its stream ends, and coming back it is told why."""
    client.pause()
    observe(feed, 1)
    await trio.testing.wait_all_tasks_blocked()
    observe(feed, 1_001)
    client.resume.set()
    (seen,) = await client.until_end()
    again = await listen(last_id=seen.id)
    assert await again.names(1) == ["reset"]


async def test_a_slow_client_that_keeps_up_gets_everything(feed: Feed, client: Client) -> None:
    """As long as the feed still has it, slowness costs nobody an event."""
    client.pause()
    observe(feed, 1)
    await trio.testing.wait_all_tasks_blocked()
    observe(feed, 1_000)
    client.resume.set()
    assert await client.names(1_001) == ["job_rejected"] * 1_001


async def test_closing_the_feed_ends_every_stream(
    feed: Feed, client: Client, listen: Listen
) -> None:
    """Each ends cleanly after the last event, and a stream that comes too late at once."""
    filtered = await listen("?event=job_failed")
    observe(feed, 2)
    feed.close()
    assert [message.event for message in await client.until_end()] == ["job_rejected"] * 2
    assert len(await filtered.until_end()) == 1
    assert len(await (await listen()).until_end()) == 1


async def test_a_client_that_goes_leaves_nothing_behind(feed: Feed, client: Client) -> None:
    """Its request ends with its connection, and others are told events as before."""
    client.go()
    with trio.fail_after(PATIENCE_SECONDS):
        await client.left.wait()
    assert not client.complete
    observe(feed, 1)


async def test_asking_for_the_head_opens_no_stream(listen: Listen) -> None:
    """HEAD has the headers of GET, and its answer ends at once."""
    client = await listen(method="HEAD")
    assert await client.until_end() == []
    stream = await listen()
    assert client.head == stream.head
    assert "Content-Length" not in client.head


async def test_the_stream_is_guarded_by_the_token(make_api: MakeApi) -> None:
    """Who may not read the jobs may not hear of them either."""
    word = "s3cret"
    check_problem(await make_api(Access(tokens=taking(word))).ask("/events"), 401)


async def test_the_stream_goes_over_a_real_connection(api: Api, serve: Serve) -> None:
    """HEAD leaves the connection usable; a stream that has ended does, too."""
    served = await serve(api.app)
    async with served.connect() as wire:
        assert (await wire.ask("/events", method="HEAD")).status == 200
        await wire.send(request("/events", f"Last-Event-ID: {api.rig.feed.id_of(0)}"))
        await api.submit("echo")
        api.rig.feed.close()
        await wire.send(request("/nowhere", "Connection: close"))
        head, _, rest = (await wire.until_closed()).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    stream, _, after = rest.partition(b"\r\n0\r\n\r\n")
    assert b"event: job_created\n" in stream
    assert b"event: job_enqueued\n" in stream
    assert after.startswith(b"HTTP/1.1 404 ")
    assert served.record.events == []
