"""HTTP/2 over TLS: many streams on one connection, each of which can go wrong by itself."""

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypercorn.typing import ASGIFramework
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from job_service.telemetry.events import ConnectionFailed
from job_service.web.edge import connection, http2, server, tasks
from job_service.web.edge.listeners import load_tls
from job_service.web.guards import Access
from job_service.web.submissions import MAX_JOB_BYTES
from tests.certificates import Certificate
from tests.web.api import Answer, Api, check_problem
from tests.web.conftest import MakeApi, Serve
from tests.web.h2_client import Fields, H2Client, open_h2
from tests.web.wire import PATIENCE_SECONDS, Served, Stage

SHORT_SECONDS = 0.1
JSON = ("content-type", "application/json")


class Site:
    """A server of HTTP/2, and the way to its clients."""

    def __init__(self, served: Served, certificate: Certificate) -> None:
        self.served = served
        self._trust = certificate.trust("h2")

    def connect(self, **options: Any) -> AbstractAsyncContextManager[H2Client]:
        """A client's connection, which the client keeps for the whole block."""
        return open_h2(self.served.port, self._trust, **options)

    async def check_next_client(self, path: str = "/hello") -> None:
        """Check that the server is as well as ever."""
        async with self.connect() as client:
            assert (await client.ask(path)).status == 200


OpenSite = Callable[[ASGIFramework], Awaitable[Site]]


@pytest.fixture
def open_site(serve: Serve, certificate: Certificate) -> OpenSite:
    """Serves an app over TLS."""

    async def start(app: ASGIFramework) -> Site:
        tls = load_tls(str(certificate.certfile), str(certificate.keyfile))
        return Site(await serve(app, tls=tls), certificate)

    return start


@pytest.fixture
def stage() -> Stage:
    """An app that acts out its paths."""
    return Stage()


@pytest.fixture
async def site(open_site: OpenSite, stage: Stage) -> Site:
    """The stage, served."""
    return await open_site(stage)


async def until(event: trio.Event) -> None:
    """Wait for it, not for long."""
    with trio.fail_after(PATIENCE_SECONDS):
        await event.wait()


async def test_a_client_may_ask_many_things_at_once(site: Site, stage: Stage) -> None:
    """A hundred streams wait for their answers, and the one that can be answered is."""
    async with site.connect() as client:
        waiting = [await client.open("/slow") for _ in range(99)]
        assert (await client.ask("/hello")).body == b"hello"
        stage.release.set()
        for stream_id in waiting:
            assert (await client.answer(stream_id)).body == b"at last"
    assert site.served.record.events == []


async def test_a_connection_has_no_end_of_its_own(site: Site) -> None:
    """However many requests a client has made, the next one on its connection is answered."""
    async with site.connect() as client:
        for _ in range(11):
            streams = [await client.open("/hello") for _ in range(100)]
            with trio.fail_after(1):
                for stream_id in streams:
                    assert (await client.answer(stream_id)).status == 200


async def test_large_answers_share_a_connection(site: Site) -> None:
    """Answers beyond the client's windows come whole, side by side."""
    async with site.connect() as client:
        streams = [await client.open("/large") for _ in range(5)]
        for stream_id in streams:
            assert len((await client.answer(stream_id)).body) == 1_000_000


async def test_jobs_are_submitted_and_read(open_site: OpenSite, api: Api) -> None:
    """The API is the same as over HTTP/1.1, bodies included."""
    site = await open_site(api.app)
    async with site.connect() as client:
        stream_id = await client.open("/jobs", JSON, method="POST", end=False)
        await client.upload(stream_id, b'{"type": "echo"}')
        created = await client.answer(stream_id)
        assert created.status == 201
        assert (await client.ask(created.headers["location"])).json["id"] == created.json["id"]
        check_h2_problem(await client.ask("/nowhere"), 404)


def check_h2_problem(answer: Answer, status: int) -> None:
    """Check that the answer is this error, as RFC 9457 wants it."""
    answer.headers["Content-Type"] = answer.headers["content-type"]
    check_problem(answer, status)


@pytest.mark.parametrize(
    ("headers", "status"),
    [([], 401), ([("authorization", "Bearer word"), JSON], 413)],
)
async def test_a_client_that_is_refused_early_may_go_on(
    open_site: OpenSite, make_api: MakeApi, headers: list[tuple[str, str]], status: int
) -> None:
    """The answer comes while the body does; the rest of the body harms no other stream."""
    site = await open_site(make_api(Access(tokens=("word",))).app)
    async with site.connect() as client:
        stream_id = await client.open("/jobs", *headers, method="POST", end=False)
        await client.upload(stream_id, bytes(MAX_JOB_BYTES + 1), end=False)
        check_h2_problem(await client.answer(stream_id), status)
        assert (await client.ask("/health")).status == 200
        await client.upload(stream_id, bytes(MAX_JOB_BYTES))
        assert (await client.ask("/health")).status == 200
    assert site.served.record.events == []


async def test_a_body_of_another_kind_is_refused_before_it_comes(
    open_site: OpenSite, api: Api
) -> None:
    """415 needs no body, and the connection goes on."""
    site = await open_site(api.app)
    async with site.connect() as client:
        stream_id = await client.open(
            "/jobs", ("content-type", "text/plain"), method="POST", end=False
        )
        check_h2_problem(await client.answer(stream_id), 415)
        await client.upload(stream_id, b"x" * 100_000)
        assert (await client.ask("/health")).status == 200


async def test_a_stream_that_is_reset_cancels_its_handler(site: Site, stage: Stage) -> None:
    """Nobody waits for that answer any more; the connection's other streams know nothing of it."""
    async with site.connect() as client:
        stream_id = await client.open("/slow")
        await until(stage.entered)
        client.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        await client.flush()
        await until(stage.left)
        assert not stage.release.is_set()
        assert (await client.ask("/hello")).status == 200
    assert site.served.record.events == []


async def test_a_reset_in_the_middle_of_an_answer_harms_no_other(
    site: Site, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may give up a download that its windows hold back, at no cost to the others."""
    monkeypatch.setattr(http2, "SEND_SECONDS", 1.0)
    async with site.connect(reads=False) as client:
        stream_id = await client.open("/large")
        with trio.fail_after(PATIENCE_SECONDS):
            while not client.streams[stream_id].body:
                await client.read_on()
        client.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        await client.flush()
        await until(stage.left)
        client.connection.increment_flow_control_window(1_000_000)
        assert (await client.ask("/hello")).body == b"hello"
    assert site.served.record.events == []


async def test_who_vanishes_cancels_all_its_handlers(site: Site, stage: Stage) -> None:
    """A connection that breaks takes its streams with it."""
    async with site.connect() as client:
        await client.open("/slow")
        await until(stage.entered)
    await until(stage.left)
    assert not stage.release.is_set()
    assert site.served.record.events == []


@pytest.mark.parametrize("path", ["/large", "/hello"])
async def test_a_client_whose_window_is_closed_is_cut_off(
    site: Site, stage: Stage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Whoever lets nothing out for SEND_SECONDS loses that stream, and no other."""
    monkeypatch.setattr(http2, "SEND_SECONDS", SHORT_SECONDS)
    async with site.connect(window=0) as client:
        await client.reset_of(await client.open(path))
        await until(stage.left)
        client.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        assert (await client.ask("/hello")).body == b"hello"
    await site.check_next_client()
    assert site.served.record.events == []


async def test_a_stream_that_nobody_reads_is_not_produced_forever(
    site: Site, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endless answer behind a closed window is cut off, and does not fill the memory first."""
    monkeypatch.setattr(http2, "SEND_SECONDS", SHORT_SECONDS)
    async with site.connect(window=0) as client:
        await client.reset_of(await client.open("/flood"))
        await until(stage.left)
    assert stage.sent_bytes <= 2**20
    assert site.served.record.events == []


async def test_a_client_that_reads_nothing_at_all_is_cut_off(
    site: Site, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its windows wide open and its socket full, too."""
    monkeypatch.setattr(connection, "SEND_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(http2, "SEND_SECONDS", SHORT_SECONDS)
    async with site.connect(window=2**31 - 1) as client:
        client.connection.increment_flow_control_window(2**30)
        await client.open("/drip")
        await until(stage.left)
        await site.check_next_client()
    assert site.served.record.events == []


async def test_a_body_that_never_comes_is_given_up(
    open_site: OpenSite, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After BODY_SECONDS the stream has its 408, and the connection goes on."""
    monkeypatch.setattr(tasks, "BODY_SECONDS", SHORT_SECONDS)
    site = await open_site(api.app)
    async with site.connect() as client:
        stream_id = await client.open("/jobs", JSON, method="POST", end=False)
        check_h2_problem(await client.answer(stream_id), 408)
        assert (await client.ask("/health")).status == 200
    assert site.served.record.events == []


async def test_a_body_that_nobody_reads_holds_up_no_other_stream(site: Site, stage: Stage) -> None:
    """A handler that has not come to its body yet is its own affair."""
    async with site.connect() as client:
        stream_id = await client.open("/slow", method="POST", end=False)
        for _ in range(30):
            await client.upload(stream_id, b"piece", end=False)
        with trio.fail_after(1):
            assert (await client.ask("/hello")).status == 200
        stage.release.set()
        assert (await client.answer(stream_id)).body == b"at last"


@pytest.mark.parametrize("path", [b"/\xff", b"", b"*", b"hello", b"/%ff", b"/a b", b"http://a"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_a_strange_path_harms_no_other_stream(
    open_site: OpenSite, api: Api, path: bytes, method: str
) -> None:
    """It is answered or its stream is reset, and the connection goes on or is ended in order."""
    site = await open_site(api.app)
    async with site.connect() as client:
        await ends(client, await client.open(path, method=method))
    await site.check_next_client("/health")
    assert site.served.record.events == []


async def ends(client: H2Client, stream_id: int) -> None:
    """Wait until the stream has an answer below 500 or is reset, or all is over."""
    stream = client.streams[stream_id]
    with trio.fail_after(PATIENCE_SECONDS):
        try:
            while not (stream.ended or stream.reset is not None or client.goodbye):
                await client.read_on()
        except (EOFError, trio.BrokenResourceError):
            return
    if stream.ended:
        assert int(stream.headers[":status"]) <= 501
        assert int(stream.headers[":status"]) != 500


ODD_FIELDS = {
    "CONNECT": [(":method", "CONNECT"), (":authority", "localhost:80")],
    "CONNECT with a path": [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
    ],
    "connect in small letters": [
        (":method", "connect"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
    ],
    "extended CONNECT": [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("sec-websocket-version", "13"),
    ],
    "no path": [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")],
    "no method": [(":scheme", "https"), (":path", "/hello"), (":authority", "localhost")],
    "two paths": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":path", "/hello"),
        (":authority", "localhost"),
    ],
    "method not in ASCII": [
        (":method", b"G\xffT"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
    ],
    "authority not in ASCII": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", b"\xff"),
    ],
    "header not in ASCII": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("x", b"\xff\xfe"),
    ],
    "header name not in ASCII": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        (b"x\xff", b"y"),
    ],
    "large letters": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("X-Large", "y"),
    ],
    "transfer-encoding": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("transfer-encoding", "chunked"),
    ],
    "line break": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("x", "a\r\nb: c"),
    ],
    "bad length": [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/hello"),
        (":authority", "localhost"),
        ("content-length", "many"),
    ],
}


@pytest.mark.parametrize("fields", ODD_FIELDS.values(), ids=ODD_FIELDS.keys())
async def test_odd_fields_harm_nobody_else(open_site: OpenSite, api: Api, fields: Fields) -> None:
    """No field of a request can do more than end its own connection, in order."""
    site = await open_site(api.app)
    fields = [(name, "/health" if value == "/hello" else value) for name, value in fields]
    async with site.connect() as other:
        assert (await other.ask("/health")).status == 200
        async with site.connect() as client:
            await ends(client, await client.open_raw(fields))
        assert (await other.ask("/health")).status == 200
    assert site.served.record.events == []


async def test_web_socket_is_not_offered(site: Site) -> None:
    """Extended CONNECT (RFC 8441) must not be used where the server does not offer it."""
    async with site.connect() as client:
        assert client.server_settings.get(8, 0) == 0
        assert client.server_settings[3] >= 100


def frame(kind: Frame, *flags: str) -> bytes:
    """Its bytes."""
    for flag in flags:
        kind.flags.add(flag)
    return kind.serialize()


FIELDS = bytes.fromhex("828784410f") + b"localhost:65535"  # GET https:// / with an authority

FRAMES = {
    "garbage": bytes(range(256)) * 10,
    "HTTP/1.1": b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "preface again": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "too long a frame": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "unknown frame": b"\x00\x00\x04\xee\x00\x00\x00\x00\x01abcd",
    "DATA on no stream": b"\0\0\1\0\0\0\0\0\0x",
    "DATA on an idle stream": frame(DataFrame(7, b"x")),
    "DATA with bad padding": b"\0\0\2\0\x08\0\0\0\1\xffx",
    "HEADERS on an even stream": frame(HeadersFrame(2, FIELDS), "END_HEADERS", "END_STREAM"),
    "HEADERS that no HPACK is": frame(HeadersFrame(1, b"\xff" * 50), "END_HEADERS"),
    "CONTINUATION of nothing": frame(ContinuationFrame(1, FIELDS), "END_HEADERS"),
    "endless CONTINUATION": frame(HeadersFrame(1, FIELDS))
    + frame(ContinuationFrame(1, b"\x00\x01a\x01b" * 1000)) * 100,
    "PING between headers": frame(HeadersFrame(1, FIELDS)) + frame(PingFrame(0, b"12345678")),
    "PING too short": b"\0\0\1\6\0\0\0\0\0x",
    "PUSH_PROMISE": frame(PushPromiseFrame(1, 2, FIELDS), "END_HEADERS"),
    "RST_STREAM on an idle stream": frame(RstStreamFrame(9, 8)),
    "SETTINGS too large a window": frame(SettingsFrame(0, {4: 2**31})),
    "SETTINGS too small a frame": frame(SettingsFrame(0, {5: 1})),
    "SETTINGS without end": frame(SettingsFrame(0, {4: 100})) * 1000,
    "PING without end": frame(PingFrame(0, b"12345678")) * 1000,
    "WINDOW_UPDATE of nothing": b"\0\0\4\x08\0\0\0\0\0" + bytes(4),
    "WINDOW_UPDATE too much": frame(WindowUpdateFrame(0, 2**31 - 1)) * 2,
    "WINDOW_UPDATE on an idle stream": frame(WindowUpdateFrame(5, 10)),
    "PRIORITY on itself": frame(PriorityFrame(3, depends_on=3)),
    "PRIORITY in a loop": frame(PriorityFrame(3, depends_on=5))
    + frame(PriorityFrame(5, depends_on=3)),
    "PRIORITY below the unknown": frame(PriorityFrame(3, depends_on=99)),
    "GOAWAY": b"\0\0\x08\7\0\0\0\0\0" + bytes(8),
    "GOAWAY cut short": b"\0\0\1\7\0\0\0\0\0x",
}


@pytest.mark.parametrize("data", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_strange_frames_harm_nobody_else(
    site: Site, stage: Stage, data: bytes, busy: bool
) -> None:
    """Whatever comes as a frame ends its own connection at most, in order, and says nothing."""
    async with site.connect() as other:
        assert (await other.ask()).status == 200
        async with site.connect() as client:
            if busy:
                client.connection.get_next_available_stream_id()
                await client.open("/slow")
                await until(stage.entered)
            with contextlib.suppress(trio.BrokenResourceError):  # refused while it was sent
                await client.send(data)
                await client.send(frame(PingFrame(0, b"the last")))
            with trio.move_on_after(SHORT_SECONDS / 2):
                await client.until_closed()
            assert (await other.ask()).status == 200
        stage.release.set()
        assert (await other.ask()).status == 200
    assert site.served.record.events == []


@pytest.mark.parametrize("depends_on", [0, 1, 99])
@pytest.mark.parametrize("exclusive", [False, True])
async def test_priorities_are_taken_as_browsers_send_them(
    site: Site, depends_on: int, exclusive: bool
) -> None:
    """Requests that depend on each other, or on what has long ended, are answered all the same."""
    async with site.connect() as client:
        assert (await client.ask()).status == 200
        for _ in range(3):
            stream_id = client.connection.get_next_available_stream_id()
            client.connection.send_headers(
                stream_id,
                [
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", "localhost"),
                    (":path", "/hello"),
                ],
                end_stream=True,
                priority_weight=256,
                priority_depends_on=depends_on,
                priority_exclusive=exclusive,
            )
            await client.flush()
            assert (await client.answer(stream_id)).body == b"hello"
        await client.send(frame(PriorityFrame(1, depends_on=depends_on and 99)))
        assert (await client.ask()).status == 200
    assert site.served.record.events == []


async def test_more_priorities_than_can_be_kept_harm_nobody_else(site: Site) -> None:
    """They end their own connection, with one line at most."""
    flood = [frame(PriorityFrame(number, depends_on=0)) for number in range(1, 3001, 2)]
    async with site.connect() as other, site.connect() as client:
        await client.send(b"".join(flood))
        with trio.move_on_after(SHORT_SECONDS):
            await client.until_closed()
        assert (await other.ask()).status == 200
    assert site.served.record.names() in ([], ["connection_failed"])


async def test_data_on_a_stream_that_has_ended_harms_no_other(site: Site) -> None:
    """It is refused or dropped; the connection goes on, or is ended in order."""
    async with site.connect() as client:
        stream_id = await client.open("/hello")
        await client.answer(stream_id)
        await client.send(frame(DataFrame(stream_id, b"more")) * 3)
        with trio.move_on_after(SHORT_SECONDS):
            await client.until_closed()
    await site.check_next_client()
    assert site.served.record.events == []


async def test_data_after_a_reset_harms_no_other(site: Site, stage: Stage) -> None:
    """What was on its way when the client gave up is dropped."""
    async with site.connect() as client:
        stream_id = await client.open("/upload", method="POST", end=False)
        await until(stage.entered)
        await client.send(
            frame(RstStreamFrame(stream_id, 8)) + frame(DataFrame(stream_id, b"more"))
        )
        await until(stage.left)
    await site.check_next_client()
    assert site.served.record.events == []


async def test_streams_that_are_opened_and_reset_in_a_flood_harm_nobody(
    site: Site, stage: Stage
) -> None:
    """Rapid reset: no more handlers run than streams are open, and the next client is served."""
    async with site.connect() as other:
        async with site.connect() as client:
            burst = b""
            for _ in range(1_500):
                stream_id = client.connection.get_next_available_stream_id()
                client.connection.send_headers(
                    stream_id,
                    [
                        (":method", "GET"),
                        (":scheme", "https"),
                        (":authority", "localhost"),
                        (":path", "/slow"),
                    ],
                    end_stream=True,
                )
                client.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
                burst += client.connection.data_to_send()
            with contextlib.suppress(trio.BrokenResourceError, trio.TooSlowError):
                await client.send(burst)
            assert (await other.ask()).status == 200
        assert (await other.ask()).status == 200
    assert site.served.record.names() in ([], ["connection_failed"])


async def test_too_many_streams_are_refused(site: Site, stage: Stage) -> None:
    """Who opens more streams than were offered loses its connection, not the others theirs."""
    async with site.connect() as client:
        client.connection.remote_settings.update({3: 1_000})
        client.connection.remote_settings.acknowledge()
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(150):
                await client.open("/slow")
        await client.until_closed()
    await until(stage.left)
    await site.check_next_client()
    assert site.served.record.events == []


async def test_a_crash_ends_its_own_connection(site: Site) -> None:
    """Where the app falls over we are told once, and the other clients go on."""
    async with site.connect() as other:
        assert (await other.ask()).status == 200
        async with site.connect() as client:
            await client.open("/crash")
            await client.until_closed()
        assert (await other.ask()).status == 200
    (event,) = site.served.record.events
    assert isinstance(event, ConnectionFailed)
    assert event.client.startswith("127.0.0.1:")
    assert "the app fell over" in event.error


@pytest.mark.parametrize("asked_before", [False, True])
async def test_an_idle_connection_is_told_goodbye(
    site: Site, monkeypatch: pytest.MonkeyPatch, asked_before: bool
) -> None:
    """After KEEP_ALIVE_SECONDS a GOAWAY ends it, whatever it has asked before."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS)
    async with site.connect() as client:
        if asked_before:
            assert (await client.ask()).status == 200
        await client.until_closed()
        assert client.goodbye
        assert client.goodbye.error_code == ErrorCodes.NO_ERROR
    assert site.served.record.events == []


async def test_pings_keep_no_connection(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do settings, nor a stream that is opened and reset at once: only requests count."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS)
    async with site.connect() as client:
        with trio.fail_after(PATIENCE_SECONDS):
            try:
                while True:
                    await client.send(frame(PingFrame(0, b"12345678")))
                    await client.read_on()
            except (EOFError, trio.BrokenResourceError):
                pass


async def close(site: Site) -> None:
    """Close the server."""
    await site.served.server.close()


async def test_when_the_server_closes_idle_clients_are_told_goodbye(site: Site) -> None:
    """At once, with a GOAWAY."""
    async with site.connect() as client:
        assert (await client.ask()).status == 200
        with trio.fail_after(1):
            await close(site)
        await client.until_closed()
        assert client.goodbye


@pytest.mark.parametrize("number", [1, 3])
async def test_when_the_server_closes_requests_in_flight_are_answered(
    site: Site, stage: Stage, nursery: trio.Nursery, number: int
) -> None:
    """To their last byte and the stream's end, and then the connection ends with a GOAWAY."""
    async with site.connect() as client:
        streams = [await client.open("/slow") for _ in range(number)]
        await until(stage.entered)
        assert (await client.ask()).status == 200
        nursery.start_soon(close, site)
        await trio.testing.wait_all_tasks_blocked(0.01)
        stage.release.set()
        for stream_id in streams:
            assert (await client.answer(stream_id)).body == b"at last"
        await client.until_closed()
        assert client.goodbye


async def test_when_the_server_closes_new_requests_can_be_sent_elsewhere(
    site: Site, stage: Stage, nursery: trio.Nursery
) -> None:
    """RFC 9113, section 8.7: REFUSED_STREAM says that nothing was done, so it is safe to retry."""
    async with site.connect() as client:
        await client.open("/slow")
        await until(stage.entered)
        nursery.start_soon(close, site)
        await trio.testing.wait_all_tasks_blocked(0.01)
        late = await client.open("/hello")
        assert await client.reset_of(late) == ErrorCodes.REFUSED_STREAM


@pytest.mark.parametrize("path", ["/slow", "/upload", "/large"])
async def test_no_stream_can_keep_the_server_from_closing(
    site: Site, stage: Stage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """All is over within CLOSE_SECONDS, whatever streams wait for."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    async with site.connect(reads=False) as client:
        await client.open(path, method="POST", end=False)
        await until(stage.entered)
        with trio.fail_after(1):
            await close(site)
        await client.until_closed()
    assert site.served.record.events == []


async def test_a_service_that_is_asked_over_http2_knows_the_host(
    open_site: OpenSite, make_api: MakeApi
) -> None:
    """The name in :authority is checked as the one in Host is."""
    site = await open_site(make_api(Access(hosts=frozenset({"localhost"}))).app)
    async with site.connect() as client:
        assert (await client.ask("/jobs")).status == 200
        fields = [(":method", "GET"), (":scheme", "https"), (":path", "/jobs")]
        for name in (":authority", "host"):
            answer = await client.answer(await client.open_raw([*fields, (name, "evil.example")]))
            check_h2_problem(answer, 421)


async def test_a_reset_while_the_socket_is_full_harms_no_other(
    open_site: OpenSite, stage: Stage
) -> None:
    """What was said on other streams meanwhile reaches the client whole, and in its order."""
    site = await open_site(stage)
    async with site.connect(reads=False, window=2**30) as client:
        client.connection.increment_flow_control_window(2**30)
        await client.flush()
        floods = [await client.open("/flood") for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked(0.01)  # the socket takes no more
        late = await client.open("/hello")
        await trio.testing.wait_all_tasks_blocked(0.01)
        for stream_id in (*floods, late):
            client.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        await client.flush()
        assert (await client.ask("/hello")).body == b"hello"
    assert site.served.record.events == []
