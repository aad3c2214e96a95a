"""Nothing that arrives at the port, and no crash behind it, harms anyone but its own connection."""

from collections.abc import Callable

import pytest
import trio

from job_service.telemetry.events import ConnectionFailed
from job_service.web.edge import server
from job_service.web.submissions import MAX_JOB_BYTES
from tests.web.api import Api, check_problem
from tests.web.conftest import Serve
from tests.web.hostile import H2_PREFACE, H2C, WEB_SOCKET, post
from tests.web.wire import Served, Stage, plain_post, request

MIB = 1024 * 1024

NO_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "binary": bytes(range(256)) * 4,
    "a word": b"hello\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "path not in ASCII": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad length": request("/jobs", "Content-Length: many", method="POST"),
    "two lengths": request("/jobs", "Content-Length: 1", "Content-Length: 2", method="POST"),
    "unknown coding": request("/jobs", "Transfer-Encoding: gzip", method="POST"),
    "endless header": b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000,
}


async def check_next_client(served: Served) -> None:
    """Check that the server is as well as ever."""
    async with served.connect() as wire:
        assert (await wire.ask("/health")).status == 200


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_gets_a_problem(api: Api, serve: Serve, data: bytes) -> None:
    """Garbage gets a 4xx (501 for an unknown coding) as a problem, and the connection's end."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(data)
        answer = await wire.answer()
        assert 400 <= answer.status <= 501
        assert answer.status != 500
        assert await wire.until_closed() == b""
        check_problem(answer, answer.status)


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_harms_nobody_else(api: Api, serve: Serve, data: bytes) -> None:
    """Garbage ends its own connection, changes nothing, and the next client is served."""
    served = await serve(api.app)
    async with served.connect() as other:
        assert (await other.ask("/health")).status == 200
        with api.nothing_changes():
            async with served.connect() as wire:
                await wire.send(data)
                await wire.until_closed()
        await check_next_client(served)
        assert (await other.ask("/health")).status == 200
    assert served.record.events == []


@pytest.mark.parametrize("data", [WEB_SOCKET, H2C], ids=["WebSocket", "h2c"])
async def test_an_upgrade_is_ignored(api: Api, serve: Serve, data: bytes) -> None:
    """RFC 9110, section 7.8: who asks for another protocol is answered in HTTP/1.1 and may stay."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(data)
        assert (await wire.answer()).json == {"status": "ok"}
        assert (await wire.ask("/health")).status == 200
    assert served.record.events == []


@pytest.mark.parametrize(
    "data",
    [
        WEB_SOCKET + b"x",
        WEB_SOCKET + b"\x81\x85\x00\x00\x00\x00hello",
        H2C + H2_PREFACE,
        H2_PREFACE,
        H2_PREFACE[:18],
        post("Transfer-Encoding: chunked") + b"no size\r\n",
    ],
    ids=["ws + byte", "ws + frame", "h2c", "h2", "half h2", "bad chunk"],
)
async def test_another_protocol_harms_nobody(api: Api, serve: Serve, data: bytes) -> None:
    """Whatever is spoken on a connection, the client is answered and the next one is served."""
    served = await serve(api.app)
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(data)
            assert (await wire.answer()).status in (200, 400, 505)
            await check_next_client(served)
        await check_next_client(served)
    assert served.record.events == []


@pytest.mark.parametrize("path", ["/crash", "/lie", "/boast"])
@pytest.mark.parametrize("data", [request, plain_post])
async def test_a_crash_ends_its_own_connection_and_no_other(
    serve: Serve, path: str, data: Callable[[str], bytes]
) -> None:
    """If the app itself fails, its client is cut off, a line reports it, and all others go on."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as other, served.connect() as waiting:
        await waiting.send(request("/slow"))
        async with served.connect() as wire:
            assert (await wire.ask("/hello")).status == 200
            await wire.send(data(path))
            await wire.until_closed()
        assert (await other.ask("/hello")).status == 200
        stage.release.set()
        assert (await waiting.answer()).body == b"at last"
    (event,) = served.record.events
    assert isinstance(event, ConnectionFailed)
    assert event.level == "warning"
    assert event.client.startswith("127.0.0.1:")
    assert ("the app fell over" if path == "/crash" else "Error") in event.error


@pytest.mark.parametrize(("line_seconds", "lines"), [(3600.0, 1), (0.0, 5)])
async def test_many_crashes_are_told_in_few_lines(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, line_seconds: float, lines: int
) -> None:
    """One client can't flood the log: there is one line in FAILURE_LINE_SECONDS, and no more."""
    monkeypatch.setattr(server, "FAILURE_LINE_SECONDS", line_seconds)
    served = await serve(Stage())
    for _ in range(5):
        async with served.connect() as wire:
            await wire.send(request("/crash"))
            await wire.until_closed()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert served.record.names() == ["connection_failed"] * lines


@pytest.mark.parametrize("framing", [f"Content-Length: {20 * MIB}", "Transfer-Encoding: chunked"])
async def test_a_client_that_uploads_too_much_reads_why(
    api: Api, serve: Serve, framing: str
) -> None:
    """The 413 comes while the client is still sending, and is not lost in a reset connection."""
    served = await serve(api.app)
    head = request("/jobs", "Content-Type: application/json", framing, method="POST")
    piece = bytes(MIB)
    if "chunked" in framing:
        piece = b"100000\r\n" + piece + b"\r\n"
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(head + piece * (20 * MIB // MAX_JOB_BYTES))
            check_problem(await wire.answer(), 413)
        await check_next_client(served)
    assert served.record.events == []


@pytest.mark.parametrize("goodbye", ["closes", "resets"])
async def test_clients_that_vanish_leave_nothing_behind(serve: Serve, goodbye: str) -> None:
    """Clients may come and go at every point of a request; the server forgets them all."""
    stage = Stage()
    served = await serve(stage)
    # One that closes only its half may still wait for its answer, so it must not have asked fully.
    whole = request("/slow") if goodbye == "resets" else request("/slow")[:-1]
    for length in range(0, len(whole) + 1, 3):
        async with served.connect() as wire:
            await wire.send(whole[:length])
            if goodbye == "resets":
                wire.reset_when_closed()
    async with served.connect() as wire:
        assert (await wire.ask("/hello")).status == 200
        with trio.fail_after(5):
            while len(served.server._connections) > 1:
                await trio.lowlevel.checkpoint()
    assert served.record.events == []
