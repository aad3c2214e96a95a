"""One process at a time has a database, whatever it calls it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job_service.errors import StoreRefused
from job_service.stores.sqlite.lock import locked

HOLD = """
import sys
from pathlib import Path
from job_service.stores.sqlite.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""

FORK_AND_HOLD = """
import os, sys
from pathlib import Path
from job_service.stores.sqlite.lock import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        print("forked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_which_one_has_it(path: Path) -> None:
    """It can have the database as soon as the other has ended, even by `kill -9`."""
    command = [sys.executable, "-c", HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(StoreRefused, match=f"in use by process {other.pid}: stop"),
            locked(path),
        ):
            pass
        other.send_signal(signal.SIGKILL)
    with locked(path):
        assert Path(f"{path}-lock").read_text() == f"{os.getpid()}\n"


def test_two_parts_of_one_process_are_two(path: Path) -> None:
    """The second is refused, and the first still has the database then."""
    refused = pytest.raises(StoreRefused, match=f"in use by process {os.getpid()}")
    with locked(path):
        for _ in range(2):
            with refused, locked(path):
                pass
    with locked(path):
        pass


def test_links_lead_to_the_same_lock(path: Path, tmp_path: Path) -> None:
    """Of the file, also before it is there, and of its directory."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    (tmp_path / "directory").symlink_to(tmp_path)
    for name in (link, tmp_path / "directory" / path.name, tmp_path / "x" / ".." / path.name):
        with locked(path), pytest.raises(StoreRefused, match="in use"), locked(name):
            pass


def test_a_forked_child_does_not_keep_it(path: Path) -> None:
    """Neither when its parent is done with the database, nor when its parent was killed."""
    with locked(path):
        asked, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(asked, 1)
            os._exit(0)
    try:
        with locked(path):
            pass
    finally:
        os.write(told, b"x")
        os.waitpid(child, 0)

    command = [sys.executable, "-c", FORK_AND_HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"
        parent.kill()
        parent.wait()
        with locked(path):
            pass  # and its child ends when its standard input does


def test_a_lock_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    """The line says which file, and why."""
    lock = tmp_path / "jobs.db-lock"
    lock.mkdir()
    why = re.escape(f"{lock} is no file: move it away")
    with pytest.raises(StoreRefused, match=why), locked(tmp_path / "jobs.db"):
        pass


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    """As all else that the system does not allow."""
    with pytest.raises(StoreRefused, match="File name too long"), locked(tmp_path / ("x" * 252)):
        pass
