"""A log file and its rotation: lines go where the file of that name is."""

import os
import stat
from pathlib import Path

import pytest

from job_service.telemetry.line_file import open_log_file
from job_service.telemetry.sink import LineSink
from tests.telemetry.streams import ENOUGH_SECONDS, ended, numbered, write_all


def sink_of(path: Path) -> LineSink:
    """A sink that writes to this file."""
    return LineSink(open_log_file(str(path)), path=str(path))


def test_the_file_is_appended_to_and_not_for_everybodys_eyes(tmp_path: Path) -> None:
    """What was in it stays; a new one can be read by its owner and group only."""
    path = tmp_path / "log"
    for line in (b"first", b"second"):
        with sink_of(path) as sink:
            sink.write(line)
    assert path.read_bytes() == b"first\nsecond\n"
    assert stat.S_IMODE(path.stat().st_mode) & ~0o640 == 0


def test_after_a_rotation_lines_go_to_the_new_file(tmp_path: Path) -> None:
    """The old file keeps what came before, the new one gets what comes after, and none is lost."""
    path, old = tmp_path / "log", tmp_path / "log.1"
    before, after = numbered(5, "before"), numbered(5, "after")
    with sink_of(path) as sink:
        write_all(sink, before)
        assert sink.flush(ENOUGH_SECONDS)
        path.rename(old)
        sink.reopen()
        write_all(sink, after)
    assert old.read_bytes().splitlines(keepends=True) == ended(before)
    assert path.read_bytes().splitlines(keepends=True) == ended(after)
    assert sink.take_reopen_error() is None


def test_the_file_of_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that changes the working directory does not move the log with the next rotation."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with sink_of(Path("log")) as sink:
        monkeypatch.chdir("elsewhere")
        (tmp_path / "log").rename(tmp_path / "log.1")
        sink.reopen()
        sink.write(b"after")
    assert (tmp_path / "log").read_bytes() == b"after\n"
    assert not (tmp_path / "elsewhere" / "log").exists()


def test_a_rotated_file_is_let_go(tmp_path: Path) -> None:
    """Nothing keeps the old file open, so that its room is free as soon as it is removed."""
    path = tmp_path / "log"
    with sink_of(path) as sink:
        path.unlink()
        sink.reopen()
        sink.write(b"after")
        assert sink.flush(ENOUGH_SECONDS)
        opened = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
        assert f"{path} (deleted)" not in opened


def test_a_file_that_cannot_be_reopened_is_kept(tmp_path: Path) -> None:
    """Lines go on to the old one, and the error can be had, once."""
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    with sink_of(path) as sink:
        path.parent.rename(tmp_path / "elsewhere")
        sink.reopen()
        sink.write(b"still here")
        assert sink.flush(ENOUGH_SECONDS)
        assert isinstance(sink.take_reopen_error(), FileNotFoundError)
        assert sink.take_reopen_error() is None
    assert (tmp_path / "elsewhere" / "log").read_bytes() == b"still here\n"


def test_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Opening it would hold the start of the service until somebody did."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        open_log_file(str(tmp_path / "pipe"))
