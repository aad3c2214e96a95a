"""Log lines that can't go out: they hold nobody, harm nothing, and are counted."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest
import trio
import trio.testing

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
    """Writing never blocks. What is over the capacity is dropped, and reported in its place."""
    kept, over = numbered(10, "kept"), numbered(7, "over")
    with LineSink(os.dup(pipe.writing), told, capacity_lines=10) as sink:
        stall(sink, pipe)
        within_time(lambda: write_all(sink, kept + over))
        assert sink.take_dropped() == 7, "told while it lasts"

        pipe.start_reading()
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 0, "each is told once"
        sink.write(b"after")
    assert pipe.end() == ended([LONG_LINE, *kept, b"dropped 7", b"after"])


def test_a_buffer_of_long_lines_is_full_sooner(pipe: Pipe) -> None:
    """What waits for a reader is bounded in bytes, too: tracebacks are long."""
    kept, over = [b"%d " % number + b"x" * 1_000 for number in range(10)], numbered(7, "over")
    with LineSink(os.dup(pipe.writing), told, capacity_bytes=10_000) as sink:
        stall(sink, pipe)
        within_time(lambda: write_all(sink, kept + over))
        assert sink.take_dropped() == 7
        pipe.start_reading()
        assert sink.flush(ENOUGH_SECONDS)
        write_all(sink, kept)
    assert pipe.end() == ended([LONG_LINE, *kept, b"dropped 7", *kept])


def test_a_line_longer_than_the_buffer_comes_out(pipe: Pipe) -> None:
    """However long: it is taken as long as no other waits."""
    pipe.start_reading()
    with LineSink(os.dup(pipe.writing), told, capacity_bytes=10) as sink:
        for line in numbered(3):
            sink.write(line * 10)
            assert sink.flush(ENOUGH_SECONDS)
    assert pipe.end() == ended([line * 10 for line in numbered(3)])


def test_flush_is_bounded_where_nobody_reads(pipe: Pipe) -> None:
    """Flushing gives up in the time it is given, and says so."""
    flushed: list[bool] = []
    with LineSink(os.dup(pipe.writing)) as sink:
        stall(sink, pipe)
        try:
            within_time(lambda: flushed.append(sink.flush(timeout_seconds=0.01)))
        finally:
            pipe.stop_reading()
    assert flushed == [False]


def test_a_thread_that_is_stuck_never_writes_to_another_file(pipe: Pipe, tmp_path: Path) -> None:
    """When the sink has been left and its reader comes back, the rest goes to the reader."""
    fd = os.dup(pipe.writing)
    with LineSink(fd) as sink:
        stall(sink, pipe)
        sink.write(b"last")
    with opened(tmp_path / "other") as other:
        assert other != fd, "its number is not free yet"
        pipe.start_reading()
        assert pipe.end() == ended([LONG_LINE, b"last"])
    assert (tmp_path / "other").read_bytes() == b""


def test_the_descriptor_is_given_back_when_all_is_written(tmp_path: Path) -> None:
    """A program that opens and leaves one service after the other does not run out of them."""
    with opened(tmp_path / "log") as file:
        fd = os.dup(file)
    with LineSink(fd) as sink:
        sink.write(b"last")
    deadline = time.monotonic() + ENOUGH_SECONDS
    while is_open(fd) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_open(fd)


def is_open(fd: int) -> bool:
    """Whether any file has this number."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_leaving_it_off_the_loop_holds_nobody_else(pipe: Pipe) -> None:
    """A program that has a service inside goes on while the last lines wait for their reader."""
    with LineSink(os.dup(pipe.writing)) as sink:
        stall(sink, pipe)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.aclose)
            await trio.testing.wait_all_tasks_blocked()
            pipe.start_reading()  # which nobody could, were the loop held
    assert pipe.end() == ended([LONG_LINE])


def test_leaving_the_block_is_bounded_where_nobody_reads(pipe: Pipe) -> None:
    """A log that nobody reads does not keep the service from ending."""

    def run() -> None:
        with LineSink(os.dup(pipe.writing)) as sink:
            stall(sink, pipe)

    within_time(run)
    pipe.stop_reading()


def test_a_reader_that_is_gone_costs_its_lines_and_no_more(pipe: Pipe) -> None:
    """A broken pipe raises nothing, and the lines are counted as dropped."""
    pipe.stop_reading()
    with LineSink(os.dup(pipe.writing)) as sink:
        write_all(sink, numbered(5))
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 5


def test_a_reader_that_goes_in_mid_line_costs_that_line_too(pipe: Pipe) -> None:
    """A line that came out in part only has not come out: it is counted with those behind it."""
    with LineSink(os.dup(pipe.writing)) as sink:
        stall(sink, pipe)
        write_all(sink, numbered(5))
        pipe.stop_reading()
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 6


def test_a_line_with_a_traceback_below_it_counts_once(pipe: Pipe) -> None:
    """On the console a line may span several; dropped, it is one event that was lost."""
    pipe.stop_reading()
    with LineSink(os.dup(pipe.writing)) as sink:
        sink.write(b"job_failed\nTraceback (most recent call last):\nValueError: no")
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_lines_until_there_is_room(tmp_path: Path) -> None:
    """While the disk is full lines are dropped and counted; with room again, they come out."""
    fd = os.open("/dev/full", os.O_WRONLY)
    with LineSink(fd, told) as sink, opened(tmp_path / "log") as roomy:
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
    fd = os.open("/dev/full", os.O_WRONLY)
    with LineSink(fd, told) as sink, opened(tmp_path / "log") as roomy:
        sink.write(b"lost")
        assert sink.flush(ENOUGH_SECONDS)
        os.dup2(roomy, fd)
        deadline = time.monotonic() + ENOUGH_SECONDS
        while not (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (tmp_path / "log").read_bytes() == b"dropped 1\n"


def test_a_report_that_is_lost_itself_comes_again_with_the_sum(pipe: Pipe, tmp_path: Path) -> None:
    """If a reader dies before the report, the next one hears of all that is missing."""
    fd = os.dup(pipe.writing)
    with LineSink(fd, told, capacity_lines=10) as sink:
        stall(sink, pipe)
        write_all(sink, numbered(13))
        pipe.stop_reading()
        assert sink.flush(ENOUGH_SECONDS)
        with opened(tmp_path / "log") as file:
            os.dup2(file, fd)
        sink.write(b"after")
        assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 14
    # An empty line ends what was cut short: that the first reader had it, the sink can't know.
    assert (tmp_path / "log").read_bytes().split() == [b"dropped", b"14", b"after"]


def test_after_its_last_line_no_loss_is_reported(pipe: Pipe) -> None:
    """Lines that come when all has been said are nobody's loss."""
    with LineSink(os.dup(pipe.writing), told) as sink:
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
    """If the disk was full in mid-line, the next line still starts a line of its own."""
    with opened(tmp_path / "log") as fd, LineSink(os.dup(fd)) as sink:
        with file_size_limit(10):
            write_all(sink, [b"whole", b"cut short", b"after"])
            assert sink.flush(ENOUGH_SECONDS)
        assert sink.take_dropped() == 2
        sink.write(b"with room again")
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[0] == b"whole"
    assert lines[-1] == b"with room again"
