"""A service as a real process: started, asked over real sockets, signalled, and its log read."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.forking import POLL_SECONDS, Ancestor, ForkedProcess

START_SECONDS = 60.0  # which a busy machine may take

ANY_PORT = ["--port", "0"]
OPTIONS = ["--log-format", "json"]
COMMAND = [sys.executable, "-m", "job_service", *ANY_PORT, *OPTIONS]

Line = dict[str, Any]


class ServiceProcess:
    """One running `job-service` and what it logged."""

    def __init__(self, process: trio.Process | ForkedProcess, log_path: Path) -> None:
        self.process = process
        self._log_path = log_path

    def lines(self) -> list[Line]:
        """All complete lines of its log so far."""
        complete, _, _ = self._log_path.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in complete.splitlines()]

    def count(self) -> Counter[str]:
        """How many lines each event has."""
        return Counter(line["event"] for line in self.lines())

    def of(self, event: str) -> list[Line]:
        """The lines of one event."""
        return [line for line in self.lines() if line["event"] == event]

    async def line(self, event: str, number: int = 1) -> Line:
        """The number-th line of this event, as soon as it is there."""
        with trio.fail_after(START_SECONDS):
            while len(found := self.of(event)) < number:
                assert self.process.poll() is None, self.lines()
                await trio.sleep(POLL_SECONDS)
        return found[number - 1]

    @property
    def url(self) -> str:
        """Where it listens, as it says itself."""
        url: str = self.of("service_started")[0]["url"]
        return url

    @property
    def port(self) -> int:
        """The port of its URL."""
        return int(self.url.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.AsyncClient:
        """A client that knows its address, over a Unix socket where that is what it listens on."""
        if self.url.startswith("unix:"):
            options["transport"] = httpx.AsyncHTTPTransport(uds=self.url.removeprefix("unix:"))
            return httpx.AsyncClient(base_url="http://localhost", timeout=20, **options)
        return httpx.AsyncClient(base_url=self.url, timeout=20, **options)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def exit_status(self, within: float = 20.0) -> int:
        """Its exit status, which must come in this many seconds."""
        with trio.fail_after(within):
            return await self.process.wait()


Start = Callable[..., Awaitable[ServiceProcess]]


@pytest.fixture
async def start(nursery: trio.Nursery, ancestor: Ancestor, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts services; what is left of them at the end of the test is killed.

    `before` is what a process does before it becomes a service, in Python; `log_path` is where
    its log is, if not on its stdout. It is forked, unless it is to be a `program` of its own;
    `within` is a command that runs that.
    """
    processes: list[trio.Process | ForkedProcess] = []
    numbers = count()

    async def run_program(command: Sequence[str], output: Path) -> trio.Process:
        with output.open("wb") as log:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                    cwd=tmp_path,
                )
            )
            return process

    async def start_service(
        *options: str,
        before: str = "",
        log_path: Path | None = None,
        program: bool = False,
        within: Sequence[str] = (),
    ) -> ServiceProcess:
        output = tmp_path / f"{next(numbers)}.log"
        process: trio.Process | ForkedProcess
        if program or within:
            assert not before
            process = await run_program([*within, *COMMAND, *options], output)
        else:
            port = [] if "--unix" in options else ANY_PORT
            process = ancestor.start([*port, *OPTIONS, *options], before, tmp_path, output)
        processes.append(process)
        log_path = log_path or output
        log_path.touch()
        service = ServiceProcess(process, log_path)
        await service.line("service_started")
        return service

    yield start_service
    for process in processes:
        if process.poll() is None:
            process.kill()


@asynccontextmanager
async def submitting(service: ServiceProcess) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A function that submits a job and gives its id."""
    async with service.client() as client:

        async def submit(job_type: str, payload: object = None, **others: object) -> str:
            body = {"type": job_type, "payload": payload, **others}
            answer = await client.post("/jobs", json=body)
            assert answer.status_code == 201, answer.text
            job_id: str = answer.json()["id"]
            return job_id

        yield submit


@pytest.fixture
def curl() -> str:
    """The program; only on a developer's machine may it be missing."""
    path = shutil.which("curl")
    if path is None:
        assert not os.environ.get("CI"), "curl must be there, or nothing is said of it"
        pytest.skip("curl is not installed")
    return path
