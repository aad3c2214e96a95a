"""The event stream, as a client in Python follows it."""

import time
from collections.abc import Callable

import pytest
import trio
import trio.testing

from job_service import InvalidOption, UnexpectedAnswer, Unreachable
from job_service.client import AsyncJobClient, JobClient, StreamedEvent
from job_service.client.event_stream import Follower
from job_service.client.exchange import Answer
from tests.client.conftest import Result, Serve

EVENT = b'id: run-2\nevent: job_created\ndata: {"job_id":"job-1"}\n\n'
STREAM = b"retry: 250\nid: run-1\n\n" + EVENT + b": heartbeat\nid: run-7\n\n"


class Now:
    """A clock that stands until it is moved on."""

    seconds = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.seconds


def follower(patience_seconds: float = 30, now: Callable[[], float] = time.monotonic) -> Follower:
    """Of a stream that has not begun."""
    return Follower([], [], None, patience_seconds, now)


async def names_of_events(
    url: str, number: int, wanted: list[str], way: str, opened: trio.Event
) -> list[str]:
    """Of the first of these events, once the stream is open."""

    def block() -> list[str]:
        with JobClient(url) as client, client.stream(events=wanted) as stream:
            trio.from_thread.run_sync(opened.set)
            return [next(stream).event for _ in range(number)]

    if way == "blocking":
        return await trio.to_thread.run_sync(block)
    async with AsyncJobClient(url) as client, client.stream(events=wanted) as stream:
        opened.set()
        return [(await anext(stream)).event for _ in range(number)]


async def test_what_happens_from_the_start_of_the_block_on_is_told(serve: Serve) -> None:
    """What was before is not, and neither is what was not asked for."""
    async with serve() as running, AsyncJobClient(running.url) as client:
        await running.queue.submit("double", 1)
        async with client.stream(events=["job_created"]) as stream:
            jobs = [await running.queue.submit("double", number) for number in range(2)]
            first = await anext(stream)
            assert (first.event, first.fields["job_id"]) == ("job_created", jobs[0].id)
            assert first.fields["job_type"] == "double"
        async with client.stream(last_event_id=first.id, job_ids=[jobs[1].id]) as stream:
            assert [(await anext(stream)).event for _ in range(4)] == [
                *("job_created", "job_enqueued", "job_started", "job_completed")
            ]
        with pytest.raises(InvalidOption, match="some of"):
            async with client.stream(events=["job_invented"]):
                pass


@pytest.mark.parametrize("way", ["blocking", "awaiting"])
async def test_a_stream_goes_on_after_a_restart(
    serve: Serve,
    free_port: int,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """With a reset, so that the reader knows that it may have missed something."""
    monkeypatch.setattr("job_service.web.event_stream.RETRY_MILLISECONDS", 10)
    url = f"http://127.0.0.1:{free_port}"
    wanted = ["queue_paused"]
    opened = trio.Event()
    async with serve(port=free_port) as running:
        names = Result(nursery, names_of_events, url, 3, wanted, way, opened)
        await opened.wait()
        await running.queue.pause()
    async with serve(port=free_port) as running:
        while not names.is_there:  # until the client is back
            await running.queue.pause()
            await running.queue.resume()
            await trio.sleep(0.01)
    assert await names.value() == ["queue_paused", "reset", "queue_paused"]


def test_a_stream_may_come_in_any_pieces() -> None:
    """Events are told as soon as they are complete."""
    for cut in range(len(STREAM) + 1):
        reader = follower()
        told = [*reader.read(STREAM[:cut]), *reader.read(STREAM[cut:])]
        assert told == [StreamedEvent("run-2", "job_created", {"job_id": "job-1"})]


def test_it_goes_on_after_the_last_id_that_was_read() -> None:
    """Also after one that came without an event."""
    reader = follower()
    assert reader.request().headers == {}
    assert list(reader.read(STREAM[:30])) == []
    assert reader.request().headers == {"Last-Event-ID": "run-1"}
    assert len(list(reader.read(STREAM))) == 1
    assert reader.request().headers == {"Last-Event-ID": "run-7"}


def test_it_comes_back_until_patience_is_over() -> None:
    """As soon as the service wants it; and once it was back, patience begins anew."""
    now = Now()
    reader = follower(1.1, now)
    list(reader.read(STREAM))
    for _ in range(2):
        reader.request()
        now.seconds += 0.25  # that the attempt takes
        now.seconds += reader.pause_after("it broke")
    with pytest.raises(Unreachable, match="it broke"):
        reader.pause_after("it broke")
    stream = {"content-type": "text/event-stream; charset=utf-8"}
    reader.accept(Answer(status=200, headers=stream, body=b"", seconds=0))
    now.seconds += 100  # that it stands
    assert reader.pause_after("it broke") == 0.25


async def test_a_service_that_takes_connections_and_says_nothing_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The attempts cost patience, not only the pauses between them."""
    autojump_clock.autojump_threshold = 0.01  # the operating system opens connections meanwhile
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    began = trio.current_time()
    async with listener:
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with AsyncJobClient(url, patience_seconds=100) as client:
            with pytest.raises(Unreachable):
                async with client.stream():
                    pass
    assert 100 < trio.current_time() - began < 150


@pytest.mark.parametrize("text", [b"event: x\ndata: <html>\n\n", b"event: x\n\n"])
def test_what_is_no_stream_of_events_is_told_as_that(text: bytes) -> None:
    """Perhaps the URL is wrong."""
    with pytest.raises(UnexpectedAnswer, match="not a stream"):
        list(follower().read(text))


def test_a_page_is_no_stream_of_events() -> None:
    """Or whoever reads it would come back for it for ever."""
    page = Answer(status=200, headers={"content-type": "text/html"}, body=b"", seconds=0)
    with pytest.raises(UnexpectedAnswer, match="not a stream"):
        follower().accept(page)


def test_an_id_that_no_header_can_have_is_told() -> None:
    """It is no trouble of the connection, and is not tried again."""
    with pytest.raises(InvalidOption, match="visible ASCII"):
        Follower([], [], "a\nb", 30, time.monotonic).request()
