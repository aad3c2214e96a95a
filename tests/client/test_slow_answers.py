"""Answers that trickle in: a call has a bound for all of its answer, a stream for each event."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from job_service.client import AsyncJobClient
from job_service.client.blocking.driver import read_whole
from job_service.client.event_stream import Follower
from job_service.client.exchange import Answer, Request
from job_service.client.httpx_messages import seconds_for
from job_service.errors import Unreachable
from tests.client.conftest import Call

HEAD = (
    b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    b"Connection: close\r\n\r\n"
)
PIECES = 100


@asynccontextmanager
async def trickle(nursery: trio.Nursery, *, at_once: bytes, slowly: bytes) -> AsyncIterator[str]:
    """The URL of what answers every request so, a byte at a time."""

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            with trio.move_on_after(600):
                try:
                    await stream.receive_some()
                    await stream.send_all(at_once)
                    for number in range(PIECES):
                        await stream.send_all(slowly[number : number + 1] or b" ")
                        await trio.sleep(0.02)
                except trio.BrokenResourceError:
                    return

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, answer, [listener])
    yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


async def test_a_body_that_trickles_in_is_given_up(call: Call, nursery: trio.Nursery) -> None:
    """`timeout_seconds` is for all of the answer, and no byte of it begins it anew."""
    async with trickle(nursery, at_once=HEAD % b"200", slowly=b"") as url:
        with pytest.raises(Unreachable, match=r"not complete after 0\.2 s"):
            await call(url, "metrics", client={"timeout_seconds": 0.2, "patience_seconds": 0})


async def test_a_head_that_trickles_in_is_given_up(nursery: trio.Nursery) -> None:
    """By the client that awaits."""
    async with (
        trickle(nursery, at_once=b"", slowly=HEAD % b"200") as url,
        AsyncJobClient(url, timeout_seconds=0.2, patience_seconds=0) as client,
    ):
        with pytest.raises(Unreachable, match=r"not complete after 0\.2 s"):
            await client.metrics()


def test_a_large_request_has_the_time_that_a_slow_line_takes() -> None:
    """It is not the service that is slow then."""
    small, large = (
        Request(method="POST", path="/jobs/batch", body=bytes(size), timeout_seconds=10)
        for size in (0, 4 * 1024 * 1024)
    )
    assert (seconds_for(small), seconds_for(large)) == (10, 74)


def test_a_call_without_a_bound_waits_as_long_as_it_takes() -> None:
    """A backup takes as long as there are jobs."""

    class Response:
        def iter_bytes(self) -> list[bytes]:
            return [b"a", b"b"]

    request = Request(method="POST", path="/store/backup", timeout_seconds=None)
    assert read_whole(Response(), request, seconds_for(request)) == b"ab"  # type: ignore[arg-type]


def test_a_stream_that_trickles_without_a_message_has_ended() -> None:
    """Bytes alone are no sign of life: a service sends a heartbeat, which is a message."""
    clock = [0.0]
    follower = Follower([], [], None, 30, lambda: clock[0])
    follower.request()
    follower.accept(
        Answer(status=200, headers={"content-type": "text/event-stream"}, body=b"", seconds=0)
    )
    for clock[0] in (40.0, 80.0):
        assert list(follower.read(b": heartbeat\n\n")) == []
    assert list(follower.read(b": heart")) == []
    clock[0] = 126.0
    with pytest.raises(Unreachable, match="says nothing"):
        list(follower.read(b"beat"))
