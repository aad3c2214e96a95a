"""Log lines on their way out: whole, in order, and out when they should be."""

import os
import threading
from pathlib import Path

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
    write_all,
)


def test_lines_arrive_whole_and_in_order(tmp_path: Path) -> None:
    """Every line comes out once, in the order given, with a newline of its own."""
    lines = numbered(20_000)
    with opened(tmp_path / "log") as fd, LineSink(os.dup(fd)) as sink:
        write_all(sink, lines)
    assert (tmp_path / "log").read_bytes().splitlines(keepends=True) == ended(lines)
    assert sink.take_dropped() == 0


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
def test_lines_arrive_whole_through_a_pipe_that_takes_little_at_a_time(
    pipe: Pipe, blocking: bool
) -> None:
    """A pipe that takes only parts of lines gets the rest when it can, even a non-blocking one."""
    os.set_blocking(pipe.writing, blocking)
    lines = [b"%d " % number + LONG_LINE[:150_000] for number in range(20)]
    with LineSink(os.dup(pipe.writing)) as sink:
        stall(sink, pipe)
        write_all(sink, lines)
        pipe.start_reading()
        assert sink.flush(ENOUGH_SECONDS)
    assert pipe.end() == ended([LONG_LINE, *lines])
    assert sink.take_dropped() == 0


def test_flush_returns_when_all_is_written(tmp_path: Path) -> None:
    """What was written before a flush is in the file after it."""
    with opened(tmp_path / "log") as fd, LineSink(os.dup(fd)) as sink:
        for number, line in enumerate(numbered(5), start=1):
            sink.write(line)
            assert sink.flush(ENOUGH_SECONDS)
            assert (tmp_path / "log").read_bytes().count(b"\n") == number


def test_leaving_the_block_flushes_and_leaves_the_descriptor_open(pipe: Pipe) -> None:
    """The last line is out when the block has ended, and stdout is still there to print to."""
    with LineSink(os.dup(pipe.writing)) as sink:
        stall(sink, pipe)
        sink.write(b"last")
        pipe.start_reading()
    os.write(pipe.writing, b"after\n")
    assert pipe.end() == ended([LONG_LINE, b"last", b"after"])


def test_a_sink_that_was_given_nothing_writes_nothing(pipe: Pipe) -> None:
    """Without a line, there is nothing to flush and nothing comes out."""
    with LineSink(os.dup(pipe.writing)) as sink:
        assert sink.flush(ENOUGH_SECONDS)
    assert pipe.end() == []


def write_at_once(sink: LineSink, lists: list[list[bytes]]) -> None:
    """Write each list of lines from a thread of its own, all at the same time."""
    together = threading.Barrier(len(lists))

    def tell(lines: list[bytes]) -> None:
        together.wait(ENOUGH_SECONDS)
        write_all(sink, lines)

    threads = [threading.Thread(target=tell, args=[lines]) for lines in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENOUGH_SECONDS)


@pytest.mark.parametrize(
    ("capacity", "room_is_short"), [(100_000, False), (50, True)], ids=["enough", "too little"]
)
def test_threads_that_write_at_once_lose_nothing_uncounted(
    tmp_path: Path, capacity: int, room_is_short: bool
) -> None:
    """Each thread's lines come out whole and in its order; those that don't are counted."""
    names = [f"thread-{number}" for number in range(8)]
    lists = [numbered(2_000, name) for name in names]
    with (
        opened(tmp_path / "log") as fd,
        LineSink(os.dup(fd), told, capacity_lines=capacity) as sink,
    ):
        write_at_once(sink, lists)
        assert sink.flush(ENOUGH_SECONDS)
        dropped = sink.take_dropped()

    lines = (tmp_path / "log").read_bytes().splitlines()
    reports = [line for line in lines if line.startswith(b"dropped ")]
    assert sum(int(report.split()[1]) for report in reports) == dropped
    lines = [line for line in lines if line not in reports]
    assert len(lines) + dropped == 8 * 2_000
    assert (dropped > 0) == room_is_short
    for name, lines in zip(names, lists, strict=True):
        came = [line for line in lines if line.startswith(f"{name} ".encode())]
        assert set(came) <= set(lines)
        assert came == sorted(came, key=lines.index)
