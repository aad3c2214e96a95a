"""A terminal in which a page's samples are tried, as its reader would try them.

What a page may rely on:

- A block with a title (```` ```python title="jobs.py" ````) is a file, written when the page comes
  to it.
- In a `console` block, a line that begins with `$ ` is a command. It goes on in the next line after
  a backslash, or if that line begins with `> `. What follows is its output. Whitespace does not
  count in it; ids, times, durations, fractions and numbers of processes and workers may differ; `…`
  stands for anything. An id that the page shows is, in later commands, the one that came for it.
- A command must succeed, unless the next one is `echo $?`. One that only reads, with curl
  or grep, is tried again for a while: readers are slower than tests.
- `job-service`, with what starts a service, runs on, as in a terminal of its own, until the page
  ends or starts another. Any command with `^C` in its output runs on until its output has come so
  far, and is interrupted. A block that begins with `^C` interrupts what was started last.
- Ports are free ones that stand for those of the page.
- `git clone` makes an empty folder, `python3 -m venv` a link to the environment that runs the
  tests, and `pip install` does nothing: that environment has it all.
- Blocks in other languages, `sh` among them, are not run.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

from tests.docs.console import Command, Expectations, Mismatch, commands
from tests.docs.pages import Block

COMMAND_SECONDS = 60.0
READER_SECONDS = 120.0
POLL_SECONDS = 0.02

_PORT = re.compile(r"\b(80[0-9]{2}|8443|9000)\b")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")  # colours, and links by curl


class Screen:
    """A pseudo-terminal, and all that was shown on it."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()  # held, or what was shown would go with its writer
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._shown = ""

    def look(self) -> str:
        """All that it has shown so far."""
        with suppress(BlockingIOError):
            while True:
                read = os.read(self._master, 65536).decode("utf-8", "replace")
                self._shown += _ESCAPES.sub("", read)
        return self._shown

    def close(self) -> None:
        """Let go of it."""
        os.close(self._master)
        os.close(self._slave)


@dataclass
class Running:
    """A command that runs on: its process group, its screen, and whether it is a service."""

    group: int
    screen: Screen
    is_service: bool

    def has_ended(self) -> bool:
        """Whether nothing of it is left."""
        return not self.signal(0)

    def signal(self, number: int) -> bool:
        """Send a signal to all of it, if anything is left."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            return False
        return True


class Terminal:
    """A shell in a new folder, and the commands that run on beside it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._note = folder.with_name(f"{folder.name}-note")
        self._ports: dict[str, str] = {}
        self._expectations = Expectations()
        self._running: list[Running] = []
        self._screen = Screen()
        self._shell = subprocess.Popen(
            # `env` lets Ctrl-C count, which whoever runs the tests in the background ignores.
            ["env", "--default-signal=INT", "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # where it tells of what was interrupted
            cwd=folder,
            env={
                **{name: value for name, value in os.environ.items() if "JOB_SERVICE" not in name},
                "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}",
                "PYTEST_ADDOPTS": "-p no:asyncio",  # which no page installs, and only a test needs
                "JOB_SERVICE_PORT": self._with_free_ports("8080"),
                "JOB_SERVICE_URL": self._with_free_ports("http://127.0.0.1:8080"),
            },
            text=True,
            start_new_session=True,
        )
        self._type("set -m")  # so that what runs on can be interrupted as at a terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running:
            self._end(running, signal.SIGKILL)
        try:
            # It ends with its input, and what it runs in the background must not outlive it: each
            # is a process group, because a server may have processes of its own.
            end_all = "for group in $(jobs -p); do kill -9 -- -$group; done\n"
            self._shell.communicate(end_all, timeout=1)
        except subprocess.TimeoutExpired:  # a command does not end
            self._shell.kill()
            self._shell.wait()
        self._screen.close()

    def follow(self, block: Block) -> None:
        """Do what a reader does who has come to this block. Raises Mismatch."""
        if block.title is not None:
            path = self._folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._with_free_ports(block.text), "utf-8")
        elif block.language == "console":
            before, *given = commands(self._with_free_ports(block.text))
            if before.is_interrupted and self._running:
                self._interrupt(self._running.pop(), before.output)
            elif before.output:
                raise Mismatch(f"nothing runs that shows\n{before.output}")
            for index, command in enumerate(given):
                command.text = self._faked(command.text)
                may_fail = [after.text for after in given[index + 1 :][:1]] == ["echo $?"]
                if command.is_interrupted or (command.starts_service and not may_fail):
                    self._start(command)
                else:
                    self._run(command, may_fail=may_fail)

    def _run(self, command: Command, *, may_fail: bool) -> None:
        until = time.monotonic() + READER_SECONDS
        while True:
            start = len(self._screen.look())
            try:
                status = self._status_of(command)
                shown = self._screen.look()[start:]
                self._expectations.compare(command.output, shown, whole=True)
                if status and not may_fail:
                    raise Mismatch(f"it ended with {status}:\n{shown}")
                return
            except Mismatch as error:
                if not command.only_reads or time.monotonic() > until:
                    raise Mismatch(f"$ {command.text}\n{error}") from None
                time.sleep(POLL_SECONDS)

    def _status_of(self, command: Command) -> int:
        self._type(
            f"{{ {command.text}\n}} < /dev/null > {self._screen.path} 2>&1\n"
            f"status=$?; echo $status > {self._note}; (exit $status)"
        )
        return int(self._read_note(self._screen))

    def _start(self, command: Command) -> None:
        if command.starts_service:
            for running in [running for running in self._running if running.is_service]:
                self._running.remove(running)
                self._end(running, signal.SIGKILL)
        screen = Screen()
        self._type(
            f"{{ {command.text}\n}} < /dev/null > {screen.path} 2>&1 &\necho $! > {self._note}"
        )
        running = Running(int(self._read_note(screen)), screen, command.starts_service)
        self._running.append(running)
        before, interrupted, after = command.output.partition("^C\n")

        def has_come_so_far() -> bool:
            self._expectations.compare(before, screen.look(), whole=False)
            return not running.is_service or "service_started" in screen.look() or self._is_ready()

        self._wait(running, has_come_so_far)
        if interrupted:
            self._interrupt(self._running.pop(), after)

    def _is_ready(self) -> bool:
        """Whether a service is that logs to elsewhere."""
        service = HTTPConnection("127.0.0.1", int(self._ports["8080"]))
        with closing(service), suppress(OSError, HTTPException):
            service.request("GET", "/health/ready")
            return service.getresponse().status == 200
        return False

    def _interrupt(self, running: Running, expected: str) -> None:
        start = len(running.screen.look())
        shown = self._end(running, signal.SIGINT)[start:]
        self._expectations.compare(expected.removeprefix("^C\n"), shown, whole=True)

    def _end(self, running: Running, number: signal.Signals) -> str:
        """End it with this signal; gives all that it has shown."""
        running.signal(number)
        self._wait(running, running.has_ended)
        shown = running.screen.look()
        running.screen.close()
        return shown

    def _wait(self, running: Running, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + COMMAND_SECONDS
        while True:
            is_last_look = running.has_ended() or time.monotonic() > until
            try:
                if condition():
                    return
                if is_last_look:
                    raise Mismatch(f"nothing else came than\n{running.screen.look()}")
            except Mismatch:
                if is_last_look:
                    raise
            running.screen.look()
            time.sleep(POLL_SECONDS)

    def _type(self, lines: str) -> None:
        assert self._shell.stdin is not None
        self._note.unlink(missing_ok=True)
        self._shell.stdin.write(lines + "\n")
        self._shell.stdin.flush()

    def _read_note(self, screen: Screen) -> str:
        until = time.monotonic() + COMMAND_SECONDS
        while not (self._note.exists() and self._note.read_text().endswith("\n")):
            if time.monotonic() > until:
                raise Mismatch(f"it does not end:\n{screen.look()}")
            screen.look()
            time.sleep(POLL_SECONDS)
        return self._note.read_text()

    def _faked(self, text: str) -> str:
        text = re.sub(r"^git clone \S*/(\S+?)(\.git)?(?=\s|$)", r"mkdir \1", text)
        text = re.sub(r"\bpython3? -m venv (\S+)", rf"ln -sfn {sys.prefix} \1", text)
        text = re.sub(r"(\S*/)?(python3? -m )?pip3? install [^&]*", "true ", text)
        return self._expectations.with_real_ids(text)

    def _with_free_ports(self, text: str) -> str:
        def stand_in(match: re.Match[str]) -> str:
            if match[0] not in self._ports:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    self._ports[match[0]] = str(probe.getsockname()[1])
            return self._ports[match[0]]

        return _PORT.sub(stand_in, text)
