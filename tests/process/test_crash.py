"""A real process that can't start, or that crashes: what it says of it, and with which status."""

import json
import subprocess
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any

import pytest

from tests.process.conftest import COMMAND

BROKEN = """
import threading
import time

import trio
from job_service import Registry

no_database = Registry()

@no_database.resource
async def group():
    async with trio.open_nursery():
        yield

@no_database.resource
async def database():
    raise ConnectionError("db down")
    yield

crashes = Registry()

@crashes.every(seconds=0.01)
async def crash():
    threading.Thread(target=time.sleep, args=[60]).start()
    raise KeyboardInterrupt("out of bounds")

breaks_trio = Registry()

@breaks_trio.every(seconds=0.01)
async def break_trio():
    trio.lowlevel.current_trio_token().run_sync_soon(no_luck)

def no_luck():
    raise LookupError("no luck")
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A folder with a module of broken registries."""
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def run(folder: Path, registry: str, log_path: Path, *options: str) -> CompletedProcess[str]:
    """A service that ends by itself, and what it says on stderr."""
    command = [*COMMAND, "--jobs", f"broken:{registry}", *options]
    with log_path.open("w") as log:
        return subprocess.run(
            command, cwd=folder, stdout=log, stderr=PIPE, text=True, timeout=20, check=False
        )


def last_line(log_path: Path, reason: str) -> dict[str, Any]:
    """The last line of the log, which is that of the service's end."""
    line: dict[str, Any] = json.loads(log_path.read_text().splitlines()[-1])
    assert (line["event"], line["reason"], line["level"]) == ("service_stopped", reason, "error")
    return line


@pytest.mark.slow
def test_without_its_resources_a_service_does_not_start(application: Path) -> None:
    """Which one and why is one line on stderr; the log has the traceback of its error alone."""
    log_path = application / "log"
    ended = run(application, "no_database", log_path)
    why = "resource database: ConnectionError: db down"
    assert (ended.returncode, ended.stderr) == (2, f"job-service: {why}\n")
    assert "service_started" not in log_path.read_text()
    line = last_line(log_path, "not_started")
    assert line["error"] == f"ResourceFailed: {why}"
    assert line["traceback"].startswith("Traceback (most recent call last):")
    assert line["traceback"].endswith("ConnectionError: db down\n")
    assert "supervisor.py" not in line["traceback"]


@pytest.mark.slow
def test_without_its_store_a_service_does_not_start(application: Path) -> None:
    """That is no crash: the log says in a line what stderr says, without a traceback."""
    log_path, store = application / "log", application / "jobs.db"
    store.write_text("no database, but a letter of more than a hundred bytes" * 3)
    ended = run(application, "crashes", log_path, "--store", f"sqlite:{store}")
    assert ended.returncode == 2
    line = last_line(log_path, "not_started")
    assert line["error"] == f"StoreRefused: {ended.stderr.removeprefix('job-service: ').strip()}"
    assert "traceback" not in line


@pytest.mark.slow
def test_a_crash_is_one_line_on_stderr(application: Path) -> None:
    """All else about it is in the log."""
    log_path = application / "log"
    ended = run(application, "crashes", log_path)
    error = "BaseExceptionGroup: [KeyboardInterrupt: out of bounds]"
    said = f"job-service: crashed: {error} (the log has the traceback)\n"
    assert (ended.returncode, ended.stderr) == (1, said)
    line = last_line(log_path, "crashed")
    assert line["error"] == error
    assert "in crash" in line["traceback"]


@pytest.mark.slow
def test_an_error_that_ends_trio_itself_is_one_line_on_stderr(application: Path) -> None:
    """As any other crash, although Trio tells of it when the service has ended."""
    log_path = application / "log"
    ended = run(application, "breaks_trio", log_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("job-service: crashed: ")
    assert ended.stderr.count("\n") == 1
    assert "LookupError: no luck" in ended.stderr
    line = last_line(log_path, "crashed")
    assert line["error"] == "LookupError: no luck"
    assert "in no_luck" in line["traceback"]


@pytest.mark.slow
def test_a_crash_that_the_log_could_not_take_is_on_stderr(application: Path) -> None:
    """Where the disk is full, say: nobody could tell what happened otherwise.

    It waits for no thread, as after any other crash.
    """
    ended = run(application, "crashes", Path("/dev/full"))
    assert ended.returncode == 1
    assert "in crash" in ended.stderr
    assert "KeyboardInterrupt: out of bounds" in ended.stderr
