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
