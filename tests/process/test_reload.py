"""`job-service serve --reload`: whoever writes job types sees each change at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from job_service.cli.reload import _Service, changed_at, folders_of
from job_service.client import JobClient

SECONDS = 60
MODULE = """
import trio
from job_service import Registry

registry = Registry()

@registry.job("{name}")
async def handler():
    await trio.sleep({seconds})
"""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when it holds; fail if it never does."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_a_change_restarts_the_service_when_it_has_finished_its_jobs(
    tmp_path: Path, free_port: int
) -> None:
    """A mistake ends it until it is mended, and Ctrl-C for good."""
    module, log = tmp_path / "jobs.py", tmp_path / "log"
    module.write_text(MODULE.format(name="first", seconds=0.5))
    arguments = ["serve", "--reload", "--jobs", "jobs:registry", "--port", str(free_port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "job_service", *arguments],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        with JobClient(f"http://127.0.0.1:{free_port}", patience_seconds=SECONDS) as client:
            client.submit("first")
            module.write_text("import nowhere\n")
            wait_until(lambda: "it starts again when a file changes" in log.read_text())
            assert log.read_text().count('"job_completed"') == 1
            assert "No module named 'nowhere'" in log.read_text()
            module.write_text(MODULE.format(name="second", seconds=0))
            assert client.submit_and_wait("second").status == "completed"
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
        assert log.read_text().count('"service_stopped"') == 2
    finally:
        process.kill()
        process.wait()


def test_a_signal_between_two_processes_ends_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to the first one, which has ended; or the second would run on."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Mock())
    service = _Service([])
    service.start()
    service.pass_on(signal.SIGTERM, None)
    service.start()
    service.process.terminate.assert_called_once_with()  # type: ignore[attr-defined]  # a Mock


def test_the_tree_of_the_job_types_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is beside their module or package, and nothing that others have made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for path in ("shop/jobs/mail.py", ".venv/x.py", "shop/__pycache__/x.py", "shop/notes.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "single.py").touch()
    (tmp_path / "plain").mkdir()  # a package without an __init__.py
    names = [
        "shop.jobs.mail:registry",
        "single:registry",
        "plain.jobs:registry",
        "nowhere:registry",
    ]
    assert [os.path.realpath(folder) for folder in folders_of(names)] == [
        os.path.realpath(tmp_path / "shop"),
        os.path.realpath(tmp_path),
        os.path.realpath(tmp_path / "plain"),
    ]
    found = {str(path.relative_to(tmp_path)) for path in changed_at([tmp_path])}
    assert found == {"shop/jobs/mail.py", "shop/__init__.py", "single.py"}
