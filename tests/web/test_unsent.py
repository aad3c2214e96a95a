"""What clients do not read: kept once, counted over all of them, and bounded."""

import weakref
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.protocol import events
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

from job_service.telemetry.events import ConnectionFailed
from job_service.web.edge import connection, unsent
from job_service.web.edge.http1 import HTTP1
from job_service.web.edge.requests import Request
from job_service.web.edge.sending import _in_pieces
from job_service.web.edge.tls import Keys
from job_service.web.edge.unsent import SMALL_BYTES, STALLED_SECONDS, Unsent
from tests.certificates import Certificate
from tests.web.api import check_problem
from tests.web.conftest import Serve
from tests.web.wire import (
    PATIENCE_SECONDS,
    Served,
    Stage,
    Wire,
    answer,
    open_tls,
    plain_post,
    request,
)

MIB = 1024 * 1024
LARGE = 12 * MIB  # more than any socket takes at once


class Reader:
    """A client that is said to read, or not to."""

    def __init__(self, name: str, read_at: float) -> None:
        self.client = name
        self.read_at = read_at
        self.is_cut_off = False

    def cut_off(self) -> None:
        """Note it."""
        self.is_cut_off = True


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was said to be cut off; a hundred thousand bytes may wait."""
    monkeypatch.setattr(unsent, "MAX_UNSENT_BYTES", 100_000)
    return []


@pytest.fixture
async def held(reports: list[str]) -> Unsent:
    """What waits."""
    return Unsent(lambda client, _: reports.append(client))


async def test_those_who_have_not_read_for_longest_make_room(
    held: Unsent, reports: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    """And no more of them than is needed, nor anybody who reads."""
    now = trio.current_time()
    oldest, older, reading = Reader("a", now - 9), Reader("b", now - 5), Reader("c", now)
    for reader in (reading, older, oldest):
        held.hold(reader, 30_000)
    assert held.has_room(10_000)
    assert reports == []
    assert held.has_room(20_000)
    assert reports == ["a"]
    assert held.has_room(70_000)
    assert reports == ["a", "b"]
    assert not held.has_room(70_001)
    assert [oldest.is_cut_off, older.is_cut_off, reading.is_cut_off] == [True, True, False]
    held.release(reading)
    assert held.has_room(100_000)


async def test_those_who_are_cut_off_count_until_they_are_gone(
    held: Unsent, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Else all the answers of one turn of the loop could take their places, one after the other."""
    monkeypatch.setattr(unsent, "MAX_LEAVING_BYTES", 50_000)
    stalled = [Reader(str(number), trio.current_time() - 9) for number in range(100)]
    cut_off = 0
    for reader in stalled:
        if not held.has_room(25_000):
            break
        held.hold(reader, 25_000)
        cut_off = sum(other.is_cut_off for other in stalled)
    assert 0 < cut_off <= 3
    assert held.has_room(SMALL_BYTES)
    for reader in stalled:
        if reader.is_cut_off:
            held.release(reader)
    assert held.has_room(25_000)


async def test_who_wants_more_than_there_is_room_for_is_cut_off(
    held: Unsent, reports: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    """If all others read; what is small may wait all the same."""
    others = [Reader("other", trio.current_time()) for _ in range(4)]
    for other in others:
        held.hold(other, 25_000)
    large, small = (Reader(name, trio.current_time()) for name in ("large", "small"))
    held.hold(large, SMALL_BYTES + 1)
    held.hold(small, SMALL_BYTES)
    assert (large.is_cut_off, small.is_cut_off) == (True, False)
    assert reports == ["large"]


async def test_what_was_released_is_not_counted(
    held: Unsent, autojump_clock: trio.testing.MockClock
) -> None:
    """Whether it was read, or its reader was cut off, or both."""
    for number in range(100):
        reader = Reader("x", trio.current_time() - number % 3)
        held.hold(reader, 60_000)
        if number % 2:
            held.release(reader)
            held.release(reader)
        await trio.sleep(STALLED_SECONDS)
    assert held.has_room(100_000)


def test_a_body_is_not_copied() -> None:
    """But for its beginning, which leaves with the head."""
    body = bytes(range(256)) * 4_096
    first, *others = _in_pieces(b"head", body)
    assert b"".join([first, *others]) == b"head" + body
    for piece in others:
        assert isinstance(piece, memoryview)
        assert piece.obj is body
    assert len(first) < 100_000


class Store(Stage):
    """An app with a large answer that it keeps, as an encoder might not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = bytes(LARGE)
        self.answering = 0  # and with it, a body each
        self.most_answering = 0

    async def _huge(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await answer(send, self.body)

    async def _crowd(self, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await self.release.wait()
        self.answering += 1
        self.most_answering = max(self.most_answering, self.answering)
        try:
            await answer(send, self.body)
        finally:
            self.answering -= 1


@pytest.fixture
async def store() -> Store:
    """The app."""
    return Store()


@pytest.fixture(params=["TCP", "TLS"])
async def site(
    request: pytest.FixtureRequest,
    serve: Serve,
    store: Store,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The app, served so that two of its answers may wait; opens connections to it."""
    monkeypatch.setattr(unsent, "MAX_UNSENT_BYTES", 2 * LARGE)
    files = str(certificate.certfile), str(certificate.keyfile)
    return Site(
        await serve(store, keys=Keys(*files) if request.param == "TLS" else None),
        certificate if request.param == "TLS" else None,
    )


class Site:
    """A server, and how to connect to it."""

    def __init__(self, served: Served, certificate: Certificate | None) -> None:
        self.served = served
        self._certificate = certificate

    async def connect(self, clients: AsyncExitStack) -> Wire:
        """A connection that lasts as long as `clients`."""
        if self._certificate is None:
            return await clients.enter_async_context(self.served.connect())
        stream = await open_tls(self.served.port, self._certificate.trust())
        clients.push_async_callback(trio.aclose_forcefully, stream)
        return Wire(stream)


async def all_of(wire: Wire) -> bytearray:
    """All that comes until the connection ends."""
    received = bytearray()
    with trio.fail_after(PATIENCE_SECONDS):
        while data := await wire._stream.receive_some():
            received += data
    return received


@pytest.mark.parametrize(
    ("ask", "is_to_come_back"), [(request, True), (plain_post, False)], ids=["GET", "POST"]
)
async def test_where_nobody_reads_the_next_is_told_to_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, ask: Any, is_to_come_back: bool
) -> None:
    """A 503 with Retry-After instead of a large answer; what is small is served as ever.

    Who has submitted a job is told that this is done, and not to do it again.
    """
    monkeypatch.setattr(unsent, "STALLED_SECONDS", 3_600)
    async with AsyncExitStack() as clients:
        for _ in range(2):
            await (await site.connect(clients)).send(ask("/huge"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        late = await site.connect(clients)
        assert (await late.ask("/hello")).body == b"hello"
        await late.send(ask("/huge"))
        refused = await late.answer()
        detail = check_problem(refused, 503)
        assert ("Retry-After" in refused.headers) == is_to_come_back
        assert detail.startswith("what you asked for was done") == (not is_to_come_back)
        assert await late.until_closed() == b""
    assert site.served.record.events == []


async def test_a_refused_answer_is_let_go_of_at_once(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many may be answered in one turn: there are never more bodies than may wait, and one."""
    monkeypatch.setattr(unsent, "STALLED_SECONDS", 3_600)
    bodies: list[weakref.ref[events.Event]] = []
    most_alive = 0
    send = HTTP1._send

    async def note(http: HTTP1, asked: Request, event: events.Event) -> None:
        nonlocal most_alive
        if isinstance(event, events.Body):
            bodies.append(weakref.ref(event))
            most_alive = max(most_alive, sum(body() is not None for body in bodies))
        await send(http, asked, event)

    monkeypatch.setattr(HTTP1, "_send", note)
    async with AsyncExitStack() as clients:
        crowd = [await site.connect(clients) for _ in range(10)]
        for wire in crowd:
            await wire.send(request("/crowd"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        store.release.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(bodies) == len(crowd)
        assert store.most_answering <= 3
        assert most_alive <= 3


async def test_who_does_not_read_makes_way_for_who_does(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection ends, which is told, and the other has its answer, whole."""
    monkeypatch.setattr(unsent, "STALLED_SECONDS", 0)
    async with AsyncExitStack() as clients:
        stalled = [await site.connect(clients) for _ in range(3)]
        for wire in stalled:
            await wire.send(request("/huge"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        reading = await site.connect(clients)
        await reading.send(request("/huge", "Connection: close"))
        assert (await all_of(reading)).endswith(b"\r\n\r\n" + store.body)
        with trio.fail_after(5):
            while len(site.served.server._connections) > 2:
                await trio.lowlevel.checkpoint()
    for event in site.served.record.of(ConnectionFailed):
        assert event.error == "cut off, because it does not read its answer"
    assert site.served.record.events != []


async def test_streams_that_nobody_reads_are_bounded_together(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each keeps only a piece, and ends if there is no room even for that."""
    monkeypatch.setattr(unsent, "MAX_UNSENT_BYTES", 100_000)
    monkeypatch.setattr(unsent, "STALLED_SECONDS", 3_600)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    async with AsyncExitStack() as clients:
        for _ in range(4):
            await (await site.connect(clients)).send(request("/flood"))
        with trio.fail_after(5):
            while len(site.served.server._connections) > 1:
                await trio.sleep(0.01)
        assert (await (await site.connect(clients)).ask("/hello")).status == 200
