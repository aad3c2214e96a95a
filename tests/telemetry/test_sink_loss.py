"""Log lines that can't go out: they hold nobody, harm nothing, and are counted."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest

from job_service.telemetry.sink import LineSink
from tests.telemetry.streams import (
    ENOUGH_SECONDS,
    LONG_LINE,
    Pipe,
    ended,
    numbered,
    opened,
    stall,
    told,
    within_time,
    write_all,
)


def test_a_stopped_reader_holds_nobody(pipe: Pipe) -> None:
    """Writing never blocks; what is over the capacity is dropped, and told where it is missing."""
    kept, over = numbered(10, "kept"), numbered(7, "over")
    with LineSink(pipe.writing, told, capacity_lines=10) as sink:
        stall(sink, pipe)
        within_time(lambda: write_all(sink, kept + over))
        assert sink.take_dropped() == 7, "told while it lasts"

        pipe.start_reading()
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 0, "each is told once"
        sink.write(b"after")
    assert pipe.end() == ended([LONG_LINE, *kept, b"dropped 7", b"after"])


def test_flush_is_bounded_where_nobody_reads(pipe: Pipe) -> None:
    """Flushing gives up in the time it is given, and says so."""
    flushed: list[bool] = []
    with LineSink(pipe.writing) as sink:
        stall(sink, pipe)
        try:
            within_time(lambda: flushed.append(sink.flush(timeout_seconds=0.01)))
        finally:
            pipe.stop_reading()
    assert flushed == [False]


def test_leaving_the_block_is_bounded_where_nobody_reads(pipe: Pipe) -> None:
    """A log that nobody reads does not keep the service from ending."""

    def run() -> None:
        with LineSink(pipe.writing) as sink:
            stall(sink, pipe)

    within_time(run)
    pipe.stop_reading()


def test_a_reader_that_is_gone_costs_its_lines_and_no_more(pipe: Pipe) -> None:
    """A broken pipe raises nothing, and the lines are counted as dropped."""
    pipe.stop_reading()
    with LineSink(pipe.writing) as sink:
        write_all(sink, numbered(5))
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 5


def test_a_reader_that_goes_in_mid_line_costs_that_line_too(pipe: Pipe) -> None:
    """A line that came out in part only has not come out: it is counted with those behind it."""
    with LineSink(pipe.writing) as sink:
        stall(sink, pipe)
        write_all(sink, numbered(5))
        pipe.stop_reading()
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 6


def test_a_line_with_a_traceback_below_it_counts_once(pipe: Pipe) -> None:
    """On the console a line may span several; dropped, it is one event that was lost."""
    pipe.stop_reading()
    with LineSink(pipe.writing) as sink:
        sink.write(b"job_failed\nTraceback (most recent call last):\nValueError: no")
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_lines_until_there_is_room(tmp_path: Path) -> None:
    """While the disk is full lines are dropped and counted; with room again, they come out."""
    with opened("/dev/full") as fd, LineSink(fd, told) as sink, opened(tmp_path / "log") as roomy:
        write_all(sink, numbered(5))
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 5

        sink.write(b"while it is still full")
        assert sink.flush(ENOUGH_SECONDS)
        os.dup2(roomy, fd)
        sink.write(b"after")
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 1
    assert (tmp_path / "log").read_bytes() == b"dropped 6\nafter\n", "told once, with the sum"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_loss_is_told_without_waiting_for_another_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that has nothing more to say still tells it once there is room."""
    monkeypatch.setattr("job_service.telemetry.sink._RETRY_SECONDS", 0.01)
    with opened("/dev/full") as fd, LineSink(fd, told) as sink, opened(tmp_path / "log") as roomy:
        sink.write(b"lost")
        assert sink.flush(ENOUGH_SECONDS)
        os.dup2(roomy, fd)
        deadline = time.monotonic() + ENOUGH_SECONDS
        while not (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (tmp_path / "log").read_bytes() == b"dropped 1\n"


def test_a_report_that_is_lost_itself_comes_again_with_the_sum(pipe: Pipe, tmp_path: Path) -> None:
    """A reader that dies before it was told: the next one hears of all that is missing."""
    with LineSink(pipe.writing, told, capacity_lines=10) as sink:
        stall(sink, pipe)
        write_all(sink, numbered(13))
        pipe.stop_reading()
        assert sink.flush(ENOUGH_SECONDS)
        with opened(tmp_path / "log") as file:
            os.dup2(file, pipe.writing)
        sink.write(b"after")
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 14
    # An empty line ends what was cut short: that the first reader had it, the sink can't know.
    assert (tmp_path / "log").read_bytes().split() == [b"dropped", b"14", b"after"]


def test_after_its_last_line_no_loss_is_told(pipe: Pipe) -> None:
    """Lines that come when all has been said are nobody's loss."""
    with LineSink(pipe.writing, told) as sink:
        sink.write(b"last")
        sink.seal()
        sink.write(b"too late")
    assert pipe.end() == ended([b"last"])
    assert sink.take_dropped() == 0


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """Let no file grow beyond this size, as on a disk that is full."""
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    """Where the disk was full in mid-line, the next line still starts a line of its own."""
    with opened(tmp_path / "log") as fd, LineSink(fd) as sink:
        with file_size_limit(10):
            write_all(sink, [b"whole", b"cut short", b"after"])
            assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 2
        sink.write(b"with room again")
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[0] == b"whole"
    assert lines[-1] == b"with room again"
