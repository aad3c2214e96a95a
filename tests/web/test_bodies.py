"""Bodies in chunks: read as h11 reads them, with bounds on all that is no body."""

from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service.web.edge.bodies import (
    MAX_CHUNK_LINE_BYTES,
    PARTS_AT_A_TIME,
    ChunkedBody,
    SizedBody,
)
from job_service.web.edge.heads import MAX_FIELDS, MAX_HEAD_BYTES, Refused
from job_service.web.guards import Access
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve
from tests.web.hostile import post
from tests.web.wire import request

HEAD = post("Transfer-Encoding: chunked")


def read(data: bytes, *cuts: int) -> tuple[bytes, bytes] | int | None:
    """The body and what follows it; the status of a refusal; None if the end is missing."""
    body, unread, read = ChunkedBody(), bytearray(), b""
    try:
        for start, end in pairwise((0, *cuts, len(data))):
            unread += data[start:end]
            before = None
            while not body.is_complete and len(unread) != before:
                before = len(unread)
                read += body.take(unread)
    except Refused as refused:
        return refused.status
    return (read, bytes(unread)) if body.is_complete else None


def read_with_h11(data: bytes) -> tuple[bytes, bytes] | int | None:
    """The same by h11."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    connection.receive_data(HEAD + data)
    connection.next_event()
    body = b""
    try:
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError as error:
        return error.error_status_hint
    return None if event is h11.NEED_DATA else (body, connection.trailing_data[0])


PARTS = st.sampled_from(
    [
        *(b"5\r\nhello\r\n", b"a\r\n0123456789\r\n", b"1;a=b\r\nx\r\n", b"0005 \r\nhello\r\n"),
        *(b"0\r\n", b"0\r\n\r\n", b"\r\n", b"X: y\r\n", b"1\r\n", b"-1\r\n", b"+1\r\nx\r\n"),
        *(b"0x1\r\nx\r\n", b"1 1\r\nx\r\n", b"5\nhello\n", b"1\rx\r", b"GET / HTTP/1.1\r\n", b";"),
        *(b"f" * 30 + b"\r\n", b"x", b"3\r\nabcd\r\n", b"G\r\nx\r\n", b"X : y\r\n", b"X: \0\r\n"),
    ]
)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(PARTS, max_size=6).map(b"".join), st.lists(st.integers(0, 60), max_size=5))
def test_chunks_are_read_as_h11_reads_them_or_refused(data: bytes, cuts: list[int]) -> None:
    """And so in whatever pieces they come."""
    ours, theirs = read(data), read_with_h11(data)
    assert ours == theirs or ours == 400
    assert read(data, *sorted(cut for cut in cuts if cut < len(data))) == ours
    assert read(data, *range(1, len(data))) == ours


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.lists(st.integers(0, 2_000)))
def test_all_that_is_sent_in_chunks_is_read(pieces: list[bytes], cuts: list[int]) -> None:
    """Whatever it is, with what follows it left over."""
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    data = chunks + b"0\r\nTrailer: x\r\n\r\nnext"
    expected = b"".join(pieces), b"next"
    assert read(data, *sorted(cut for cut in cuts if cut < len(data))) == expected


EXTENSION = b"1;" + b"x" * (MAX_CHUNK_LINE_BYTES - 4)
TRAILER = b"0\r\n" + b"a:\r\n" * MAX_FIELDS
LONG_TRAILER = b"0\r\na:" + b"x" * (MAX_HEAD_BYTES - 6)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (EXTENSION + b"\r\nx\r\n0\r\n\r\n", (b"x", b"")),
        (EXTENSION + b"x\r\nx\r\n0\r\n\r\n", 400),
        (TRAILER + b"\r\n", (b"", b"")),
        (TRAILER + b"a:\r\n\r\n", 431),
        (LONG_TRAILER + b"\r\n\r\n", (b"", b"")),
        (LONG_TRAILER + b"x\r\n\r\n", 431),
        (b"0\r\n" + b"a:\r\n" * 15_000 + b"\r\n", 431),
    ],
)
def test_what_is_no_body_is_bounded(data: bytes, expected: tuple[bytes, bytes] | int) -> None:
    """Extensions of chunks and fields of trailers, alike however they come."""
    assert read(data) == expected
    if len(data) < 20_000:
        assert read(data, *range(1, len(data))) == expected


TINY = b"1\r\nx\r\n"
EMPTY_WORDS = b"1;" + b"x" * 200 + b"\r\nx\r\n"


@pytest.mark.parametrize(
    ("chunk", "number", "is_taken"),
    [
        (TINY, 1_000, True),
        (TINY, 10_000, False),
        (EMPTY_WORDS, 10, True),
        (EMPTY_WORDS, 100, False),
        (b"11\r\n" + b'{"type": "echo"}\n' + b"\r\n", 10_000, True),
        (b"400\r\n" + b"x" * 1024 + b"\r\n" + TINY, 5_000, True),
    ],
)
def test_chunks_are_not_to_be_all_that_there_is(chunk: bytes, number: int, is_taken: bool) -> None:
    """Lines that come one by one pass, and so do a thousand bytes; thousands of nothing do not."""
    answer = read(chunk * number + b"0\r\n\r\n")
    assert answer == 400 or is_taken
    assert isinstance(answer, tuple) == is_taken


def test_so_many_chunks_are_taken_at_a_time() -> None:
    """The others have their turn before the rest is taken."""
    body, unread = ChunkedBody(), bytearray(b"3\r\nabc\r\n" * 5_000)
    piece = body.take(unread)
    assert 0 < len(piece) <= 3 * PARTS_AT_A_TIME
    assert len(unread) > 35_000


async def test_the_body_of_who_may_not_come_in_is_not_read(make_api: MakeApi, serve: Serve) -> None:
    """However many chunks it has, and whether or not they are any."""
    served = await serve(make_api(Access(tokens=taking("word"))).app)
    for body in (TINY * 10_000, b"no chunks\r\n"):
        async with served.connect() as wire:
            await wire.send(HEAD + body)
            check_problem(await wire.answer(), 401)
            assert await wire.until_closed() == b""


async def test_a_body_of_next_to_nothing_in_each_chunk_is_refused(api: Api, serve: Serve) -> None:
    """It would cost far more than it says."""
    served = await serve(api.app)
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(HEAD + TINY * 10_000)
            check_problem(await wire.answer(), 400)


async def test_a_trailer_of_thousands_of_fields_is_refused(api: Api, serve: Serve) -> None:
    """As a head of as many would be."""
    served = await serve(api.app)
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(HEAD + b"1\r\nx\r\n0\r\n" + b"a:\r\n" * 10_000 + b"\r\n")
            check_problem(await wire.answer(), 431)
            assert await wire.until_closed() == b""
    assert served.record.events == []


def test_a_body_of_known_length_ends_there() -> None:
    """What follows is not touched."""
    body, unread = SizedBody(5), bytearray(b"hel")
    assert (body.take(unread), body.is_complete) == (b"hel", False)
    unread += b"lo, next"
    assert (body.take(unread), body.is_complete) == (b"lo", True)
    assert unread == b", next"
    assert SizedBody(0).is_complete


async def test_a_body_in_many_tiny_chunks_is_one_body(api: Api, serve: Serve) -> None:
    """However a client cuts it."""
    served = await serve(api.app)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"type": "echo"}') + b"0\r\n\r\n"
    async with served.connect() as wire:
        await wire.send((HEAD + chunks + request("/health")) * 3)
        for status in (201, 200) * 3:
            assert (await wire.answer()).status == status
