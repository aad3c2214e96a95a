"""The live feed: bounded whatever its readers do. A reader gets all events, or an error."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from job_service.telemetry.events import (
    ONLY_COUNTED,
    Event,
    JobCreated,
    JobFailed,
    JobRetried,
    JobStarted,
    LogLinesDropped,
)
from job_service.telemetry.feed import CAPACITY, Feed, FellBehind
from tests.telemetry.sample import sample

ALL = 1_000_000


def numbered() -> Iterator[Event]:
    """Events that can be told apart."""
    return (sample(LogLinesDropped, lines=number) for number in count(1))


def fill(feed: Feed, events: int) -> list[Event]:
    """Let the feed observe so many events."""
    observed = [event for event, _ in zip(numbered(), range(events), strict=False)]
    for event in observed:
        feed.observe(event)
    return observed


@pytest.mark.slow
def test_the_last_20_000_events_are_kept_and_no_more() -> None:
    """The feed is bounded whatever the uptime. Whoever asks for what is gone gets an error."""
    feed = Feed()
    events = fill(feed, CAPACITY + 1)
    assert CAPACITY == 20_000
    assert feed.read(1, ALL) == events[1:]
    with pytest.raises(FellBehind):
        feed.read(0, ALL)


def test_what_is_only_counted_takes_no_place() -> None:
    """Each commit of a store would push an event out that somebody may want to read."""
    feed = Feed()
    (first,) = fill(feed, 1)
    for kind in ONLY_COUNTED:
        feed.observe(sample(kind))
    feed.observe(second := sample(JobStarted))
    assert feed.last == 2
    assert feed.read(0, ALL) == [first, second]


@pytest.mark.slow
def test_events_with_long_texts_are_fewer() -> None:
    """What is kept is bounded in bytes, too, whatever kinds of event tell long texts."""
    feed = Feed(capacity_bytes=100_000)
    for number in range(1_000):
        feed.observe(sample(JobStarted))
        feed.observe(sample(JobFailed, error="x" * 100, traceback=f"{number} " + "x" * 9_000))
        feed.observe(sample(JobCreated, after=tuple(f"{n:036}" for n in range(number % 20))))
        feed.observe(sample(JobRetried, error="\U0001f600" * 100))
    kept = feed.read(feed.last - len(feed._ring), ALL)
    texts = [text for event in kept for text in (getattr(event, "traceback", ""), event.event)]
    assert 5 * 9_000 < sum(map(len, filter(None, texts))) < 100_000
    assert {event.event for event in kept[-4:]} == {
        "job_started",
        "job_failed",
        "job_created",
        "job_retried",
    }
    with pytest.raises(FellBehind):
        feed.read(0, ALL)


def test_short_events_are_kept_however_many_long_ones_went_before() -> None:
    """The texts of events that have gone by count no more."""
    feed = Feed(capacity=10, capacity_bytes=100_000)
    for _ in range(50):
        feed.observe(sample(JobFailed, traceback="x" * 9_000))
        for _ in range(20):
            feed.observe(sample(JobStarted))
    assert len(feed.read(feed.last - 10, ALL)) == 10


def test_a_reader_gets_what_follows_and_at_most_what_it_asked_for() -> None:
    """Reading goes on after any number, in pieces of any size, and does not take anything away."""
    feed = Feed()
    events = fill(feed, 5)
    assert feed.read(0, 2) == events[:2]
    assert feed.read(2, 2) == events[2:4]
    assert feed.read(4, 2) == events[4:]
    assert feed.read(feed.last, 2) == []
    assert feed.read(0, ALL) == events


@given(st.lists(st.one_of(st.just("event"), st.tuples(st.integers(0, 2), st.integers(1, 4)))))
def test_each_reader_sees_all_events_in_order_or_is_told(
    steps: list[str | tuple[int, int]],
) -> None:
    """However three readers and the events take turns: no gap, nothing twice, no wrong number."""
    capacity = 5
    feed, events, observed = Feed(capacity), numbered(), list[Event]()
    read: list[list[Event]] = [[], [], []]
    for step in steps:
        if isinstance(step, str):
            observed.append(next(events))
            feed.observe(observed[-1])
        else:
            reader, limit = step
            seen = read[reader]
            if len(observed) - len(seen) > capacity:
                with pytest.raises(FellBehind):
                    feed.read(len(seen), limit)
                assert feed.number_of(feed.id_of(len(seen))) is None
            else:
                assert feed.number_of(feed.id_of(len(seen))) == len(seen)
                seen += feed.read(len(seen), limit)
                assert seen == observed[: len(seen)]
        assert feed.last == len(observed)


async def test_every_waiting_reader_is_woken_by_an_event(nursery: trio.Nursery) -> None:
    """Nobody polls: readers sleep until there is something to read, each time anew."""
    feed = Feed()
    woken = []

    async def follow() -> None:
        while True:
            await feed.wait(feed.last)
            woken.append(feed.last)

    for _ in range(3):
        nursery.start_soon(follow)
    for last in range(3):
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
        assert woken == [1, 1, 1, 2, 2, 2][: 3 * last]
        fill(feed, 1)


async def test_who_has_something_to_read_does_not_wait() -> None:
    """Waiting returns at once then, but lets the others have their turn first."""
    feed = Feed()
    fill(feed, 2)
    with trio.testing.assert_checkpoints(), trio.fail_after(5):
        await feed.wait(1)


async def test_a_reader_that_stops_waiting_leaves_no_trace(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Giving up a wait loses no event, neither for it nor for those who go on waiting."""
    feed = Feed()
    with trio.move_on_after(1) as gave_up:
        await feed.wait(0)
    assert gave_up.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.wait, 0)
        await trio.testing.wait_all_tasks_blocked()
        events = fill(feed, 1)
    assert feed.read(0, ALL) == events


async def test_closing_ends_the_readers_after_the_last_event(nursery: trio.Nursery) -> None:
    """Who waits is woken; what was observed before can still be read; then it has ended."""
    feed = Feed()
    woken = trio.Event()

    async def wait() -> None:
        await feed.wait(1)
        woken.set()

    events = fill(feed, 1)
    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    assert not feed.ended(1)
    feed.close()
    with trio.fail_after(5):
        await woken.wait()
        await feed.wait(1)
    assert not feed.ended(0)
    assert feed.read(0, ALL) == events
    assert feed.ended(1)


async def test_another_thread_may_tell_events_where_the_loop_is_blocked(
    nursery: trio.Nursery,
) -> None:
    """It wakes nobody, which it couldn't, and harms nothing; the next event wakes the readers."""
    feed = Feed()
    woken = trio.Event()

    async def wait() -> None:
        await feed.wait(0)
        woken.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    first, second = sample(JobCreated), sample(LogLinesDropped)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(feed.observe, first).result(timeout=5)
    await trio.testing.wait_all_tasks_blocked()
    assert not woken.is_set()
    feed.observe(second)
    with trio.fail_after(5):
        await woken.wait()
    assert feed.read(0, ALL) == [first, second]


def test_ids_are_of_one_run_only() -> None:
    """After a restart nobody mistakes an old number for a new one."""
    feed, other = Feed(), Feed()
    fill(feed, 3)
    fill(other, 3)
    assert feed.number_of(feed.id_of(2)) == 2
    assert feed.number_of(other.id_of(2)) is None


@pytest.mark.parametrize("number", ["4", "-1", "", "two", "2.0", "+2", " 2", "٢", "²", "9" * 5000])
def test_what_is_no_id_of_the_feed_is_known_as_such(number: str) -> None:
    """A number that was not given yet, or is none at all, is nothing to go on from."""
    feed = Feed()
    fill(feed, 3)
    assert feed.number_of(feed.id_of(2)[:-1] + number) is None
    assert feed.number_of(number) is None
