"""A short POST of the usual kind is read without h11, and just as h11 would read it."""

from itertools import pairwise

import h11
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service.web.edge.fast_path import read_usual_post
from tests.web.api import Api, check_problem
from tests.web.conftest import Serve
from tests.web.wire import Stage, plain_post

LENGTH = b"Content-Length: 2\r\n"
PLAIN = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n" + LENGTH + b"Connection: keep-alive\r\n\r\n"
START_LINES = st.sampled_from(
    [b"POST /jobs HTTP/1.1"] * 3
    + [
        *(b"POST //jobs HTTP/1.1", b"POST http://a/jobs HTTP/1.1", b"POST * HTTP/1.1"),
        *(b"POST /jobs HTTP/1.0", b"GET /jobs HTTP/1.1", b"POST /jobs?a=b#c HTTP/1.1"),
    ]
)
FIELDS = st.sampled_from(
    [
        *(b"Content-Length: 2", b"content-length: 3", b"Content-Length : 2", b"Host: b", b"X: y"),
        *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: h2c", b" X: folded"),
        *(b"Connection: keep-alive", b"Connection: close", b"connection: KEEP-ALIVE, close", b"X:"),
    ]
)
ENDS = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b" \r\n", b"\r\r\n", b"\r\n "])
RESTS = st.sampled_from([b""] * 5 + [b"{}", b"\r\n", PLAIN])


@st.composite
def nearly_plain(draw: st.DrawFn) -> bytes:
    """What looks like a plain request, but for its fields, or some byte that does not belong."""
    fields = [b"Host: a", b"Content-Length: 2", *draw(st.lists(FIELDS, max_size=2))]
    lines = [draw(START_LINES), *draw(st.permutations(fields)), b""]
    data = b"".join(line + draw(ENDS) for line in lines) + draw(RESTS)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + draw(st.integers(0, 1)) :]
    return data


@pytest.mark.slow
@settings(max_examples=800)
@given(nearly_plain())
def test_what_is_read_without_h11_is_read_as_h11_does(data: bytes) -> None:
    """To the same request, with nothing left over, and with the connection open for another."""
    plain = read_usual_post(data)
    if plain is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data + bytes(plain.length))
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (b"POST", plain.target)
    assert request.http_version == b"1.1"
    assert list(request.headers) == plain.headers
    assert not connection.they_are_waiting_for_100_continue
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert body == bytes(plain.length)
    assert isinstance(event, h11.EndOfMessage)
    assert connection.next_event() is h11.NEED_DATA
    connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
    connection.send(h11.EndOfMessage())
    connection.start_next_cycle()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        plain_post(body=b""),
        plain_post("/jobs/1/cancel?because=of%20it", b""),
        PLAIN.replace(LENGTH, b"Content-Length: 100000\r\n"),
        PLAIN.replace(b"Host: ", b"host:"),
        PLAIN.replace(b"keep-alive", b"Keep-Alive"),
    ],
)
def test_submissions_are_plain(data: bytes) -> None:
    """As nearly all clients write them: to read these fast is what it is for."""
    assert read_usual_post(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:-3],
        PLAIN + b"x",
        PLAIN + PLAIN,
        b"\r\n" + PLAIN,
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r\n", b"\n", 1),
        PLAIN.replace(LENGTH, LENGTH.replace(b"\r", b"")),
        PLAIN.replace(b"\r\nHost", b"\r\n Host"),
        PLAIN.replace(b"Host: localhost\r\n", b""),
        PLAIN.replace(LENGTH, b""),
        PLAIN.replace(LENGTH, LENGTH + LENGTH),
        PLAIN.replace(LENGTH, LENGTH + b"content-length: 3\r\n"),
        PLAIN.replace(LENGTH, b"Content-Length: 02\r\n"),
        PLAIN.replace(LENGTH, b"Content-Length: +2\r\n"),
        PLAIN.replace(LENGTH, b"Content-Length: 2, 2\r\n"),
        PLAIN.replace(LENGTH, b"Content-Length : 2\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"Host: evil.example\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"Transfer-Encoding: chunked\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"Expect: 100-continue\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"Upgrade: websocket\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"X: a\tb\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"X: \xfc\r\n"),
        PLAIN.replace(LENGTH, LENGTH + b"X: a\0b\r\n"),
        PLAIN.replace(b"keep-alive", b"close"),
        PLAIN.replace(b"keep-alive", b"keep-alive, close"),
        PLAIN.replace(b"POST", b"GET"),
        PLAIN.replace(b"POST", b"post"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"/jobs", b"//jobs"),
        PLAIN.replace(b"/jobs", b"http://localhost/jobs"),
        PLAIN.replace(b"/jobs", b"*"),
        PLAIN.replace(b"/jobs", b"/\xff"),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_h11(data: bytes) -> None:
    """Whether it is an error or only rare."""
    assert read_usual_post(data) is None


async def test_plain_and_other_requests_share_a_connection(api: Api, serve: Serve) -> None:
    """In any order; each is answered in its turn."""
    served = await serve(api.app)
    async with served.connect() as wire:
        for _ in range(3):
            await wire.send(plain_post())
            assert (await wire.answer()).status == 201
            assert (await wire.ask("/metrics")).status == 200
            await wire.send(plain_post() + plain_post("/nowhere") + plain_post()[:-1])
            assert (await wire.answer()).status == 201
            assert (await wire.answer()).status == 404
            await wire.send(plain_post()[-1:])
            assert (await wire.answer()).status == 201
            for places in ((30,), (-16,), (-10,), (-16, -10), (-16, -10, -5), (30, -16)):
                for start, end in pairwise((0, *places, None)):
                    await wire.send(plain_post()[start:end])
                    await trio.testing.wait_all_tasks_blocked()
                assert (await wire.answer()).status == 201
    assert api.counters()["jobs_created"] == 27


async def test_more_than_the_body_that_was_missing_is_the_next_request(
    api: Api, serve: Serve
) -> None:
    """And less than it, at the connection's end, is no request."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(plain_post()[:-5])
        await trio.testing.wait_all_tasks_blocked()
        await wire.send(plain_post()[-5:] + plain_post()[:-5])
        assert (await wire.answer()).status == 201
        await wire.send_eof()
        check_problem(await wire.answer(), 400)
        assert await wire.until_closed() == b""
        await trio.testing.wait_all_tasks_blocked()
    async with served.connect() as wire:
        await wire.send(plain_post()[:-5])
        await trio.testing.wait_all_tasks_blocked()
        await wire.send_eof()
        check_problem(await wire.answer(), 400)
    assert api.counters()["jobs_created"] == 1


async def test_the_last_answer_says_that_it_is_the_last(serve: Serve) -> None:
    """To a client that waits while the server closes, so that it does not send another request."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire, trio.open_nursery() as nursery:
        await wire.send(plain_post("/slow_upload"))
        await stage.entered.wait()
        nursery.start_soon(served.server.close)
        await trio.testing.wait_all_tasks_blocked()
        stage.release.set()
        answer = await wire.answer()
        assert answer.body == b"at last"
        assert answer.headers["Connection"] == "close"
        assert await wire.until_closed() == b""


async def test_a_server_that_closes_resets_no_answer(serve: Serve) -> None:
    """Even if the client, which could not know, has sent another request meanwhile."""
    served = await serve(Stage())
    async with trio.open_nursery() as nursery, served.connect() as wire:
        await wire.send(plain_post("/large"))
        await trio.testing.wait_all_tasks_blocked()
        await wire.send(plain_post("/hello"))
        nursery.start_soon(served.server.close)
        await trio.testing.wait_all_tasks_blocked()
        assert (await wire.answer()).body == bytes(1_000_000)
        assert await wire.until_eof() == b""


@pytest.mark.parametrize(
    ("start_line", "status_line", "body"),
    [
        (b"POST /unmeasured HTTP/1.1", b"HTTP/1.1 200 ", b"6\r\nas it \r\n5\r\ncomes\r\n0\r\n\r\n"),
        (b"POST /unmeasured HTTP/1.0", b"HTTP/1.1 200 ", b"as it comes"),
        (b"POST /silence HTTP/1.1", b"HTTP/1.1 500 ", b""),
    ],
)
async def test_where_the_length_is_not_told_the_end_is(
    serve: Serve, start_line: bytes, status_line: bytes, body: bytes
) -> None:
    """A body of unknown length comes in chunks, or ends with the connection in HTTP/1.0."""
    served = await serve(Stage())
    async with served.connect() as wire:
        await wire.send(
            start_line + b"\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        head, _, rest = (await wire.until_closed()).partition(b"\r\n\r\n")
    assert head.startswith(status_line)
    assert b"connection: close" in head
    assert rest == body
    assert served.record.events == []


async def test_a_large_answer_comes_whole(serve: Serve) -> None:
    """Though a socket has room for a part of it only."""
    served = await serve(Stage())
    async with served.connect() as wire:
        await wire.send(plain_post("/large"))
        await trio.testing.wait_all_tasks_blocked()
        assert (await wire.answer()).body == bytes(1_000_000)
        await wire.send(plain_post("/hello"))
        assert (await wire.answer()).body == b"hello"


async def test_a_client_that_is_gone_needs_no_answer(serve: Serve) -> None:
    """Its connection ends without a word, and the next client is served."""
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        await wire.send(plain_post("/slow_upload"))
        await stage.entered.wait()
        wire.reset_when_closed()
    stage.release.set()
    await stage.left.wait()
    async with served.connect() as wire:
        await wire.send(plain_post("/hello"))
        assert (await wire.answer()).body == b"hello"
    with trio.fail_after(1):
        await served.server.close()
    assert served.record.events == []
