"""Services forked from one process that has imported all they need.

To import it takes most of a second of a processor, which is longer than most of these tests need
for all else. `python -m tests.forking` is that process. It has one thread, so a fork of it
is as good as new.
"""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import trio

POLL_SECONDS = 0.02


class ForkedProcess:
    """One service, with what the tests use of `trio.Process`."""

    def __init__(self, ancestor: "Ancestor", pid: int) -> None:
        self.pid = pid
        self._ancestor = ancestor
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""
        if self._status is None:
            self._status = self._ancestor.ask({"poll": self.pid})
        return self._status

    async def wait(self) -> int:
        """The same, when it has ended."""
        while (status := self.poll()) is None:
            await trio.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self._status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Ancestor:
    """The process that services are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )

    def start(self, options: list[str], before: str, folder: Path, output: Path) -> ForkedProcess:
        """A service that starts in this folder, and whose stdout and stderr are this file."""
        wanted = {"options": options, "before": before, "cwd": str(folder), "output": str(output)}
        return ForkedProcess(self, self.ask(wanted))

    def ask(self, request: dict[str, Any]) -> Any:
        """Its answer, which comes at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it; the services that it has forked are no longer waited for."""
        self._process.communicate()


def answer_requests() -> None:
    """Be the ancestor: a request is a line on stdin, and its answer one on stdout."""
    from job_service import main, start  # noqa: F401  # so that each fork finds them imported

    while line := sys.stdin.readline():
        request = json.loads(line)
        answer = poll(request["poll"]) if "poll" in request else fork(**request)
        print(json.dumps(answer), flush=True)  # noqa: T201


def poll(pid: int) -> int | None:
    """The exit status of a child that has ended."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def fork(options: list[str], before: str, cwd: str, output: str) -> int:
    """Start a service in a child; gives its process id."""
    return os.fork() or serve(options, before, cwd, output)


def serve(options: list[str], before: str, folder: str, output: str) -> NoReturn:
    """Become a service, as if it had been started by itself."""
    from job_service import main, start

    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, number)
    os.closerange(3, max(log, nothing) + 1)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv[1:] = options
    # Processes for handlers would look for this module, which is not to be found from there.
    sys.modules["__main__"].__spec__ = find_spec("job_service.__main__")
    exec(before, {"main": main, "start": start})  # noqa: S102  (the test's own code)
    start.main()
    raise AssertionError("it ends the process")


if __name__ == "__main__":
    answer_requests()
