"""The messages of the stream are written once, and what is kept of them is bounded in bytes."""

import pytest

from job_service.telemetry.events import JobFailed
from job_service.telemetry.feed import Feed, FellBehind
from job_service.web import frames as frames_module
from job_service.web.frames import Frames
from tests.telemetry.sample import sample


def test_all_streams_send_the_same_bytes() -> None:
    """Not equal ones: the second reader costs nothing."""
    feed = Feed()
    feed.observe(sample(JobFailed))
    frames = Frames(feed)
    assert frames.of(1) is frames.of(1)
    assert frames.of(1).startswith(b"id: ")
    with pytest.raises(ValueError, match="unpack"):
        frames.of(2)


@pytest.mark.parametrize("size", [10, 1_000, 20_000])
def test_what_is_kept_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """However long the events are; the newest are there, and what was let go can be had again."""
    monkeypatch.setattr(frames_module, "KEPT_BYTES", 15_000)
    feed = Feed(capacity=100)
    frames = Frames(feed)
    for number in range(1, 201):
        feed.observe(sample(JobFailed, traceback="x" * size))
        assert b"x" * size in frames.of(number)
        assert frames.kept_bytes <= 15_000
    if size < 15_000:
        assert frames.of(200) is frames.of(200)
    assert frames.of(101).count(b"x") >= size
    with pytest.raises(FellBehind):
        frames.of(50)


def test_streams_that_read_the_same_send_the_same_piece() -> None:
    """It is put together once, bounded in events and in bytes, and anew when there is more."""
    feed = Feed()
    for _ in range(10):
        feed.observe(sample(JobFailed))
    frames = Frames(feed)
    piece, last = frames.following(0, 4, 1_000_000)
    assert (piece.count(b"\n\n"), last) == (4, 4)
    assert frames.following(0, 4, 1_000_000)[0] is piece
    piece, last = frames.following(4, 100, 1)
    assert (piece.count(b"\n\n"), last) == (1, 5)
    assert frames.following(10, 100, 1_000) == (b"", 10)
    feed.observe(sample(JobFailed))
    piece, last = frames.following(10, 100, 1_000_000)
    assert (piece, last) == (frames.of(11), 11)
