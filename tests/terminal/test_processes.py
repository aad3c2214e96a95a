"""These commands as processes of their own: statuses, signals, a real terminal, and completion."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from job_service.client import JobClient
from tests.terminal.conftest import served

COMMAND = [sys.executable, "-m", "job_service"]
SECONDS = 60  # far more than any takes, on a machine that is not overloaded


def start(url: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command, whose output can be read."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"JOB_SERVICE_URL": url} | options.pop("environment", {})
    return subprocess.Popen([*COMMAND, *arguments], env=environment, **(pipes | options))


@pytest.mark.slow
def test_scripts_learn_all_from_the_exit_status(url: str) -> None:
    """0: it is well; 1: a job failed; 2: it was typed wrong; 3: no service answers."""
    commands = {
        0: ["submit", "echo", "1", "--wait"],
        1: ["submit", "fail", "--wait"],
        2: ["submit", "telegram"],
        3: ["jobs", "--url", "unix:/nowhere"],
    }
    running = {status: start(url, *arguments) for status, arguments in commands.items()}
    for status, process in running.items():
        _, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, err.count("\n")) == (status, min(status, 1)), err


@pytest.mark.slow
def test_the_live_stream_is_followed_until_ctrl_c(
    url: str, client: JobClient, tmp_path: Path
) -> None:
    """As the log looks on a terminal, or as JSON; and only what was asked for."""
    human, machine = tmp_path / "human", tmp_path / "machine"
    with human.open("w") as for_people, machine.open("w") as for_programs:
        wanted = ["--type", "echo", "--event", "job_completed"]
        processes = [
            start(url, "tail", *wanted, stdout=for_people),
            start(url, "tail", *wanted, "--json", stdout=for_programs),
        ]
    until = time.monotonic() + SECONDS
    while not (human.read_text() and machine.read_text()):  # until they listen
        assert time.monotonic() < until
        client.submit_and_wait("fail")
        client.submit_and_wait("echo", 1)
        time.sleep(0.05)
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=SECONDS)[1] == ""
        assert process.returncode == 0
    for line in human.read_text().splitlines():
        assert " info job_completed echo " in line
    for line in machine.read_text().splitlines():
        told = json.loads(line)
        assert (told["event"], told["job_type"], told["level"]) == ("job_completed", "echo", "info")


@pytest.mark.slow
def test_what_handlers_write_looks_as_in_the_log(
    url: str, client: JobClient, tmp_path: Path
) -> None:
    """Under its own name, with its own fields; as JSON, it is as the stream has it."""
    human, machine = tmp_path / "human", tmp_path / "machine"
    with human.open("w") as for_people, machine.open("w") as for_programs:
        processes = [
            start(url, "tail", "--event", "job_logged", stdout=for_people),
            start(url, "tail", "--event", "job_logged", "--json", stdout=for_programs),
        ]
    until = time.monotonic() + SECONDS
    while not (human.read_text() and machine.read_text()):  # until they listen
        assert time.monotonic() < until
        client.submit_and_wait("verbose", 1)
        time.sleep(0.05)
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    shown = human.read_text()
    assert re.search(r" info step +verbose .*\n +number=0 text='", shown), shown
    assert "job_logged" not in shown
    assert "\x1b" not in shown
    told = json.loads(machine.read_text().splitlines()[0])
    assert (told["event"], told["message"], told["fields"]["number"]) == ("job_logged", "step", 0)


@contextmanager
def on_a_terminal(url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A command whose stdout and stderr are a terminal; gives the other end of that."""
    shown, terminal = pty.openpty()
    options = {"stdout": terminal, "stderr": terminal, "stdin": terminal}
    process = start(url, *arguments, **options, environment={"TERM": "xterm", "COLUMNS": "120"})
    os.close(terminal)
    try:
        yield process, shown
    finally:
        process.kill()
        process.wait()
        os.close(shown)


def read_until(shown: int, words: bytes) -> bytes:
    """What is shown, up to these words and a little more."""
    seen = b""
    while words not in seen:
        assert select.select([shown], [], [], SECONDS)[0], seen
        seen += os.read(shown, 65536)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["jobs", "--watch"], ["top"]], ids=["jobs", "top"])
def test_what_is_watched_changes_in_place_until_ctrl_c(
    url: str, client: JobClient, arguments: list[str]
) -> None:
    """And the terminal is left as it was, with its cursor."""
    client.submit_and_wait("echo", 1)
    with on_a_terminal(url, *arguments) as (process, shown):
        read_until(shown, b"\x1b[?25l")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        read_until(shown, b"\x1b[?25h")
        assert process.wait(SECONDS) == 0


@pytest.mark.slow
def test_who_waits_at_a_terminal_sees_the_progress(url: str, client: JobClient) -> None:
    """In a line that is gone when the job has ended; Ctrl-C ends the wait, and not the job."""
    with on_a_terminal(url, "submit", "endless", "--wait") as (process, shown):
        read_until(shown, b"[bold]copying")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == -signal.SIGINT
    (job,) = client.list(status="processing", job_type="endless")
    client.cancel(job.id)


@pytest.mark.slow
def test_who_waits_for_a_group_at_a_terminal_sees_its_progress(url: str, client: JobClient) -> None:
    """In a line that is gone when the group has ended."""
    group = client.submit_group([{"type": "echo"}, {"type": "endless"}]).id
    with on_a_terminal(url, "group", "wait", group) as (process, shown):
        read_until(shown, b"] 50% 1 processing, 1 completed")
        client.cancel_group(group)
        read_until(shown, b"\r\x1b[K1 completed, 1 cancelled\r\n")
        assert process.wait(SECONDS) == 1


@pytest.mark.slow
def test_a_command_about_many_jobs_shows_how_far_it_is_and_is_stopped_by_ctrl_c(
    tmp_path: Path,
) -> None:
    """It tells what it has done, and the same command goes on."""
    settings = {"port": 0, "log_file": str(tmp_path / "log"), "queue_capacity": 3}
    with served(**settings) as url, JobClient(url) as client:
        client.pause()
        for number in range(5):
            client.cancel(client.submit("echo", number).id)
        command = ["retry", "--type", "echo", "--status", "cancelled"]
        with on_a_terminal(url, *command) as (process, shown):
            read_until(shown, b"\r\x1b[K3 run again")  # and the queue is full
            process.send_signal(signal.SIGINT)
            read_until(shown, b"stopped after 3 run again, or a few more; give the same command")
            assert process.wait(SECONDS) == -signal.SIGINT
        client.resume()
        while client.view().pending:
            time.sleep(0.01)
        process = start(url, *command)
        assert process.communicate(timeout=SECONDS) == ("2 run again\n", "")


@pytest.mark.slow
def test_a_command_ends_with_its_terminal(url: str, client: JobClient, tmp_path: Path) -> None:
    """Though it has nothing to write, and so would not notice."""
    with (tmp_path / "out").open("w") as out:
        process = start(url, "tail", "--event", "job_failed", stdout=out)
    while not (tmp_path / "out").read_text():  # until it listens
        client.submit_and_wait("fail")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGHUP


@pytest.mark.slow
def test_shells_complete_commands_options_and_job_types(url: str) -> None:
    """As click has it, which the page shows how to switch on."""

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        environment = {
            "_JOB_SERVICE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        script = "import sys; sys.argv[0] = 'job-service'; import job_service.start as s; s.main()"
        run = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"JOB_SERVICE_URL": url} | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        return [item.partition(",")[2] for item in run.stdout.splitlines()]

    assert completed("job-service sub") == ["submit"]
    assert completed("job-service submit e") == ["echo", "endless"]


@pytest.mark.slow
def test_a_service_that_starts_imports_no_client() -> None:
    """They take longer to import than they would ever save it."""
    script = """
import sys
from job_service.cli.parser import read_command_line
import job_service.serving
read_command_line(["--port", "0"])
print(*sorted({"anyio", "httpx", "job_service.client", "job_service.terminal.commands"}
              & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
