"""A service in a thread of its own, and commands that are given to it."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import trio

from job_service import JobContext, Registry, Retry, Settings, host
from job_service.client import JobClient
from job_service.main import main


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    status: int | str | None
    out: str
    err: str


Give = Callable[..., Said]


def job_types() -> Registry:
    """Of the service of these tests."""
    registry = Registry()

    @registry.job("echo")
    async def echo(value: object = None) -> object:
        return value

    @registry.job("fail", retry=Retry(max_retries=0))
    async def fail() -> None:
        raise ValueError("no \x1b[31mluck")

    @registry.job("verbose")
    async def verbose(lines: int, job: JobContext) -> None:
        for number in range(lines):
            job.log.info("step", number=number, text="\x1b[2J")

    @registry.job("endless")
    async def endless(_: None, job: JobContext) -> None:
        job.progress(3, 10, note="[bold]copying")
        await trio.sleep_forever()

    @registry.cron("0 3 * * *", tz="Europe/Berlin")
    async def nightly() -> None:
        pass

    return registry


@contextmanager
def served(registry: Registry | None = None, /, **settings: Any) -> Iterator[str]:
    """Serve in a thread for the block, these job types or the usual ones; gives the URL."""
    told: queue.Queue[tuple[str, trio.lowlevel.TrioToken, trio.CancelScope]] = queue.Queue()

    async def serve() -> None:
        with trio.CancelScope() as scope:
            async with host(registry or job_types(), Settings(**settings)) as running:
                told.put((running.url, trio.lowlevel.current_trio_token(), scope))
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    address, token, scope = told.get(timeout=30)
    try:
        yield address
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the service listens."""
    log = tmp_path_factory.mktemp("service") / "log"
    with served(port=0, log_file=str(log), workers=2) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[JobClient]:
    """To arrange what a command finds."""
    with JobClient(url) as client:
        yield client


@pytest.fixture
def give(url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Give:
    """Gives a command, in this process, for the service that JOB_SERVICE_URL names."""

    def give(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capfd.readouterr()
        return Said(ended.value.code, said.out, said.err)

    monkeypatch.setenv("JOB_SERVICE_URL", url)
    return give
