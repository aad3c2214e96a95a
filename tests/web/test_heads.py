"""Heads of requests: what is too much is refused unread, alike however it comes."""

from itertools import pairwise

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service.web.edge import http1
from job_service.web.edge.heads import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_REQUEST_LINE_BYTES,
    Refused,
    Unread,
)
from tests.web.api import Api, check_problem
from tests.web.conftest import Serve
from tests.web.wire import plain_post, request


def head_of(size: int) -> bytes:
    """A head of so many bytes."""
    return request("/health", "X: " + "x" * (size - len(request("/health", "X: "))))


def line_of(size: int) -> bytes:
    """A head whose first line has so many bytes."""
    return request("/" + "x" * (size - len("GET / HTTP/1.1\r\n")))


FIELDS = [f"X-{number}: y" for number in range(MAX_FIELDS)]  # and Host
TOO_MUCH = {
    "fields": (request("/health", *FIELDS), 431),
    "fields of a POST": (request("/jobs", *FIELDS, method="POST"), 431),
    "thousands of fields": (request("/health", *(["a:"] * 15_000)), 431),
    "empty fields": (b"GET /health HTTP/1.1\n" + b"a:\n" * (MAX_FIELDS + 1) + b"\n", 431),
    "bytes": (head_of(MAX_HEAD_BYTES + 1), 431),
    "bytes in a folded field": (request("/", "X: y", *[" z" * 500] * 17), 431),
    "many bytes": (head_of(60_000), 431),
    "target": (line_of(MAX_REQUEST_LINE_BYTES + 1), 414),
    "a long target": (line_of(50_000), 414),
    "a long target, and fields": (line_of(9_000)[:-2] + b"a:\r\n" * 200 + b"\r\n", 414),
}
ENOUGH = {
    "fields": request("/health", *FIELDS[1:]),
    "bytes": head_of(MAX_HEAD_BYTES),
    "target": line_of(MAX_REQUEST_LINE_BYTES),
}


def read(data: bytes, *cuts: int) -> tuple[list[bytes], int | None]:
    """The heads in it, and the status of a refusal, if it comes in pieces."""
    unread = Unread()
    heads: list[bytes] = []
    try:
        for start, end in pairwise((0, *cuts, len(data))):
            unread.data += data[start:end]
            while True:
                unread.skip_empty_lines()
                if (head := unread.take_head()) is None:
                    break
                heads.append(head)
    except Refused as refused:
        return heads, refused.status
    return heads, None


@pytest.mark.slow
@pytest.mark.parametrize(("data", "status"), TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.parametrize("before", [b"", request("/health"), b"\r\n" * 10])
def test_what_is_too_much_is_refused_however_it_comes(
    data: bytes, status: int, before: bytes
) -> None:
    """In one piece, byte by byte, or behind another request: by what it is alone."""
    heads = [before] if before.startswith(b"GET") else []
    data = before + data
    assert read(data) == (heads, status)
    assert read(data, *range(1, len(data))) == (heads, status)
    assert read(data, len(before)) == (heads, status)


@pytest.mark.parametrize("data", ENOUGH.values(), ids=ENOUGH)
def test_what_is_just_enough_is_taken_however_it_comes(data: bytes) -> None:
    """The limits are what they say."""
    assert read(data) == ([data], None)
    assert read(data, *range(1, len(data))) == ([data], None)
    assert read(data * 3, 5, len(data) + 1) == ([data] * 3, None)


LINES = st.sampled_from(
    [b"GET / HTTP/1.1", b"a:", b"Host: a", b"", b" x", b"a: " + b"b" * 9_000, b"\r", b"x" * 9_000]
)
ENDS = st.sampled_from([b"\r\n"] * 3 + [b"\n", b"\r", b""])


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.lists(st.tuples(LINES, ENDS, st.sampled_from([1, 1, 1, 60, 200])), max_size=8),
    st.lists(st.integers(0, 30_000), max_size=5),
)
def test_pieces_make_no_difference(lines: list[tuple[bytes, bytes, int]], cuts: list[int]) -> None:
    """Whatever it is, and wherever it is cut."""
    data = b"".join((line + end) * times for line, end, times in lines)
    assert read(data, *sorted(cut for cut in cuts if cut < len(data))) == read(data)


@pytest.mark.parametrize(("data", "status"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_a_refusal_is_a_problem_and_costs_nothing(
    api: Api, serve: Serve, monkeypatch: pytest.MonkeyPatch, data: bytes, status: int
) -> None:
    """It is told before anybody has read the head, on a fresh or a used connection."""
    served = await serve(api.app)
    async with served.connect() as used, served.connect() as fresh:
        await used.send(plain_post())
        assert (await used.answer()).status == 201
        assert (await used.ask("/health")).status == 200
        monkeypatch.setattr(http1, "read_request", None)
        for wire in (used, fresh):
            await wire.send(data)
            answer = await wire.answer()
            check_problem(answer, status)
            assert answer.headers["Connection"] == "close"
            assert await wire.until_closed() == b""
    assert served.record.events == []


@pytest.mark.parametrize("line", [b"\r\n", b"\n", b"\r\n\r\n\n"])
async def test_empty_lines_before_a_request_are_ignored(
    api: Api, serve: Serve, line: bytes
) -> None:
    """RFC 9112, section 2.2: as old clients send them after a body; before any request."""
    served = await serve(api.app)
    requests = [plain_post(), request("/health"), plain_post(), request("/metrics"), plain_post()]
    async with served.connect() as wire:
        await wire.send(line + line.join(requests) + line)
        for status in (201, 200, 201, 200, 201):
            assert (await wire.answer()).status == status
        for data in requests:
            await wire.send(data + line)
            assert (await wire.answer()).status in (200, 201)
        for byte in line + request("/health") + line:
            await wire.send(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert (await wire.answer()).status == 200
        await wire.send_eof()
        assert await wire.until_closed() == b""


async def test_an_empty_line_is_no_request(api: Api, serve: Serve) -> None:
    """It is no reason to wait for what follows, to look away from the client, or for a 408."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(b"\r\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.fail_after(1):
            await served.server.close()
        assert await wire.until_closed() == b""


async def test_an_empty_line_behind_a_stream_does_not_hide_that_its_client_leaves(
    api: Api, serve: Serve
) -> None:
    """The connection is still looked at."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(request("/events") + b"\r\n")
        assert (await wire.answer()).status == 200
        await trio.testing.wait_all_tasks_blocked(0.01)
    with trio.fail_after(5):
        while served.server._connections:
            await trio.lowlevel.checkpoint()
