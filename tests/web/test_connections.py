"""A client's connection: how long it lasts, and what it costs the client to waste it."""

import socket
from contextlib import suppress

import pytest
import trio
import trio.testing

from job_service.web.edge import connection, sending
from job_service.web.edge.heads import MAX_UNREAD_BYTES
from job_service.web.edge.sockets import receive
from tests.web.api import JSON, Api, check_problem
from tests.web.conftest import Serve
from tests.web.wire import Stage, Wire, plain_post, request

SHORT_SECONDS = 0.1


async def test_one_connection_serves_request_after_request(api: Api, serve: Serve) -> None:
    """Keep-alive: a client may ask anything, submit and be refused on one connection."""
    served = await serve(api.app)
    async with served.connect() as wire:
        assert (await wire.ask("/health")).status == 200
        check_problem(await wire.ask("/nowhere"), 404)
        body = b'{"type": "echo"}'
        head = request("/jobs", f"Content-Length: {len(body)}", *_lines(JSON), method="POST")
        await wire.send(head + body)
        created = await wire.answer()
        assert created.status == 201
        assert (await wire.ask(created.headers["Location"])).json["id"] == created.json["id"]
        assert (await wire.ask("/metrics")).json["jobs_created"] == 1


@pytest.mark.parametrize(
    "last", [request("/health", "Connection: close"), request("/health", version="1.0")]
)
async def test_a_client_that_wants_the_connection_closed_gets_it_closed(
    api: Api, serve: Serve, last: bytes
) -> None:
    """Connection: close and HTTP/1.0 end the connection right after the answer."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(last)
        assert (await wire.answer()).status == 200
        assert await wire.until_closed() == b""


async def test_pipelined_requests_are_answered_in_their_order(api: Api, serve: Serve) -> None:
    """Requests sent without waiting for the answers get them all, one after the other."""
    served = await serve(api.app)
    paths = [f"/jobs/{number}" for number in range(20)]
    async with served.connect() as wire:
        await wire.send(b"".join(request(path) for path in paths))
        details = [check_problem(await wire.answer(), 404, "unknown-job") for _ in paths]
    assert details == [f"there is no job {number}, or it is no longer kept" for number in range(20)]


BEHIND = [b"G", request("/hello") * 100, b"\r\n" * 500_000, bytes(1_000_000)]


@pytest.mark.parametrize("behind", BEHIND, ids=["a byte", "requests", "empty lines", "a megabyte"])
async def test_who_asks_for_more_and_goes_has_gone(serve: Serve, behind: bytes) -> None:
    """However much it has left unread behind a request that takes its time."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow"))
        with trio.fail_after(5):
            await stage.entered.wait()
        await _send_what_is_taken(wire, behind)
        wire.reset_when_closed()
    with trio.fail_after(5):
        await stage.left.wait()
    assert not stage.release.is_set()
    assert served.record.events == []


@pytest.mark.parametrize("behind", BEHIND[:2], ids=["a byte", "requests"])
async def test_who_asks_for_more_and_only_seems_to_listen_is_owed_it_for_a_while(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    """As who has asked for nothing more."""
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", SHORT_SECONDS)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow") + behind)
        await wire.send_eof()
        with trio.fail_after(5):
            await stage.left.wait()
        assert await wire.until_closed() == b""
    assert not stage.release.is_set()


async def test_who_asks_for_more_and_sends_no_more_gets_it_all(serve: Serve) -> None:
    """Each request that came before the end of the client's half has its answer, in order."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow") + plain_post("/hello") + request("/hello") * 2)
        await wire.send_eof()
        with trio.fail_after(5):
            await stage.entered.wait()
        stage.release.set()
        bodies = [(await wire.answer()).body for _ in range(4)]
        assert bodies == [b"at last", b"hello", b"hello", b"hello"]
        assert await wire.until_closed() == b""


async def test_a_body_that_nobody_wants_stays_with_its_client(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what no app takes, MAX_UNREAD_BYTES are read; the rest fills the client's own socket."""
    received = 0

    async def count(stream: trio.SocketStream, max_bytes: int) -> bytes:
        nonlocal received
        data = await receive(stream, max_bytes)
        received += len(data)
        return data

    monkeypatch.setattr(connection, "receive", count)
    stage = Stage()
    served = await serve(stage)
    head = request("/slow", "Content-Length: 100000000")
    async with served.connect() as wire:
        await _send_what_is_taken(wire, head + bytes(20_000_000))
        assert MAX_UNREAD_BYTES <= received <= MAX_UNREAD_BYTES + len(head)
        stage.release.set()
        assert (await wire.answer()).body == b"at last"


@pytest.mark.parametrize("body", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_a_client_knows_when_an_answer_came_before_its_body(serve: Serve, body: str) -> None:
    """Many clients send the head by itself. The connection ends, and they must not use it again."""
    served = await serve(Stage())
    async with served.connect() as wire:
        answer = await wire.ask("/hello", body)
        assert answer.headers["Connection"] == "close"
        assert await wire.until_closed() == b""
    async with served.connect() as wire:
        await wire.send(request("/hello", "Content-Length: 5") + b"hello")
        assert "Connection" not in (await wire.answer()).headers
        assert (await wire.ask("/hello")).body == b"hello"


async def test_a_body_that_nobody_wants_ends_no_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BODY_SECONDS count while somebody waits for the body; what is left of it is passed over."""
    monkeypatch.setattr(connection, "BODY_SECONDS", SHORT_SECONDS)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow", "Content-Length: 5") + b"hel")
        assert not await wire.closes_within(2 * SHORT_SECONDS)
        await wire.send(b"lo" + request("/hello"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        stage.release.set()
        assert [(await wire.answer()).body for _ in range(2)] == [b"at last", b"hello"]


async def _send_what_is_taken(wire: Wire, data: bytes) -> None:
    with trio.move_on_after(0.2), suppress(trio.BrokenResourceError):
        await wire.send(data)


@pytest.mark.parametrize("size", [1, 7])
async def test_a_request_may_come_in_small_pieces(api: Api, serve: Serve, size: int) -> None:
    """However the network cuts a request and its body, it is the same request."""
    served = await serve(api.app)
    body = '{"type": "echo", "payload": "ü"}'.encode()
    data = request("/jobs", f"Content-Length: {len(body)}", *_lines(JSON), method="POST") + body
    async with served.connect() as wire:
        for start in range(0, len(data), size):
            await wire.send(data[start : start + size])
        assert (await wire.answer()).status == 201


async def test_a_client_that_asks_whether_to_send_its_body_is_told_to(
    api: Api, serve: Serve
) -> None:
    """Expect: 100-continue, as curl sends it with large bodies, gets its 100 and its answer."""
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    headers = [*_lines(JSON), f"Content-Length: {len(body)}", "Expect: 100-continue"]
    async with served.connect() as wire:
        await wire.send(request("/jobs", *headers, method="POST"))
        assert (await wire.answer()).status == 100
        await wire.send(body)
        assert (await wire.answer()).status == 201


@pytest.mark.parametrize("before", [b"", request("/hello"), b"GET /hello HTTP/1.1\r\nHost: loc"])
async def test_an_idle_connection_is_closed_in_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """After KEEP_ALIVE_SECONDS without a whole request the connection is closed, and not before."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS)
    served = await serve(Stage())
    async with served.connect() as wire:
        began = trio.current_time()
        await wire.send(before)
        rest = await wire.until_closed()
        assert trio.current_time() - began >= SHORT_SECONDS * 0.9
    assert rest.count(b"hello") == before.count(b"\r\n\r\n")
    assert served.record.events == []


async def test_a_header_that_trickles_in_does_not_keep_a_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then buys no time: a request must be whole within KEEP_ALIVE_SECONDS."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS)
    served = await serve(Stage())
    async with served.connect() as wire:
        began = trio.current_time()
        await wire.send(b"GET /hello HTTP/1.1\r\nX: ")
        for _ in range(100):
            await wire.send(b"x")
            if await wire.closes_within(SHORT_SECONDS / 10):
                break
        else:
            pytest.fail("the connection outlived its time ten times over")
        assert trio.current_time() - began >= SHORT_SECONDS * 0.9


async def test_a_handler_may_take_longer_than_a_connection_may_idle(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KEEP_ALIVE_SECONDS is about clients that say nothing; one that waits for us is not idle."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS / 10)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow"))
        assert not await wire.closes_within(SHORT_SECONDS)
        stage.release.set()
        assert (await wire.answer()).body == b"at last"


@pytest.mark.parametrize("asked", [request("/slow"), plain_post("/slow_upload?wait=60")])
async def test_a_client_that_goes_away_cancels_its_handler(serve: Serve, asked: bytes) -> None:
    """Nobody waits for the answer any more, so nothing works on it any more."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(asked)
        with trio.fail_after(5):
            await stage.entered.wait()
        wire.reset_when_closed()
    with trio.fail_after(5):
        await stage.left.wait()
    assert not stage.release.is_set()
    assert served.record.events == []


async def test_a_client_that_sends_no_more_gets_its_answer(serve: Serve) -> None:
    """To close one's half of the connection is no farewell (RFC 9112, section 9.6)."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow"))
        await wire.send_eof()
        with trio.fail_after(5):
            await stage.entered.wait()
        assert not await wire.closes_within(SHORT_SECONDS)
        stage.release.set()
        assert (await wire.answer()).body == b"at last"
        assert await wire.until_closed() == b""


async def test_a_client_that_only_seems_to_listen_is_owed_an_answer_for_a_while(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has gone for good looks the same, and must not hold its handler for ever."""
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", SHORT_SECONDS)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(request("/slow"))
        await wire.send_eof()
        assert await wire.until_closed() == b""
        with trio.fail_after(5):
            await stage.left.wait()
    assert not stage.release.is_set()


async def test_a_client_that_leaves_a_stream_has_left(serve: Serve) -> None:
    """A stream owes it no end, so nothing is kept for a client that may still listen."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.ask("/stream")
        await wire.send_eof()
        with trio.fail_after(5):
            await stage.left.wait()


async def test_a_client_that_ends_in_its_body_is_told_so(serve: Serve) -> None:
    """Half a request is none, and who can still listen hears it."""
    served = await serve(Stage())
    async with served.connect() as wire:
        await wire.send(request("/upload", "Content-Length: 10", method="POST") + b"12345")
        await wire.send_eof()
        assert (await wire.answer()).status == 400
        assert await wire.until_closed() == b""


async def test_a_body_that_never_ends_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that takes longer than BODY_SECONDS over its body gets 408."""
    monkeypatch.setattr(connection, "BODY_SECONDS", SHORT_SECONDS)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        assert (await wire.ask("/hello")).status == 200
        await wire.send(request("/upload", "Content-Length: 10", method="POST") + b"12345")
        check_problem(await wire.answer(), 408)
        assert await wire.until_closed() == b""
        with trio.fail_after(5):
            await stage.left.wait()
    assert served.record.events == []


async def test_a_head_that_never_ends_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that takes longer than KEEP_ALIVE_SECONDS over its head gets 408."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", SHORT_SECONDS)
    served = await serve(Stage())
    async with served.connect() as wire:
        await wire.send(request("/hello")[:-2])
        check_problem(await wire.answer(), 408)
        assert await wire.until_closed() == b""


async def test_an_app_may_tidy_up_after_its_answer(serve: Serve) -> None:
    """That the answer is out is no reason to cancel what the app still does after it."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        assert (await wire.ask("/epilogue")).body == b"done"
        with trio.fail_after(5):
            await stage.left.wait()
    assert stage.release.is_set()


async def test_a_client_that_does_not_read_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes longer than SEND_SECONDS to read its answer loses it, and the others do not."""
    monkeypatch.setattr(sending, "SEND_SECONDS", SHORT_SECONDS)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as stalled, served.connect() as other:
        await stalled.send(request("/flood"))
        with trio.fail_after(5):
            await stage.left.wait()
        assert (await other.ask("/hello")).body == b"hello"
        await stalled.until_closed()
    assert served.record.events == []


async def test_a_client_that_reads_slowly_is_not_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little it reads: the system takes no more from us for long, but sees that it does."""
    monkeypatch.setattr(sending, "SEND_SECONDS", 2)
    stage = Stage()
    served = await serve(stage)
    client = trio.socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    await client.connect(("127.0.0.1", served.port))
    async with trio.SocketStream(client) as stream:
        await stream.send_all(request("/flood"))
        for _ in range(80):
            await stream.receive_some(1_024)
            await trio.sleep(0.05)
        assert not stage.left.is_set()
        with trio.fail_after(20):
            await stage.left.wait()


def _lines(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]
