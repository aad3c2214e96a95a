"""`job-service backup`: a copy that is a store of its own, made by whoever has the file."""

import json
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from job_service import (
    BackupRefused,
    Registry,
    RunningService,
    Settings,
    SettingsError,
    host,
)
from job_service.cli.backup import back_up
from job_service.main import main

Said = pytest.CaptureFixture[str]

REGISTRY = Registry()


@REGISTRY.job("echo")
async def echo(text: str) -> str:
    """Give it back."""
    return text


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a service with a file, on a Unix socket."""
    return Settings(
        unix=str(tmp_path / "socket"),
        store=f"sqlite:{tmp_path / 'jobs.db'}",
        log_file=str(tmp_path / "log"),
        tokens=("nightly operate secret",),
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[RunningService]:
    """It runs, and has completed a job."""
    async with host(REGISTRY, settings) as running:
        job = await running.queue.submit("echo", "hello")
        await running.queue.wait(job.id, 10)
        yield running


async def ask_for_backup(settings: Settings, to: Path, url: str | None = None) -> int:
    """What the command does; its exit status."""
    return await trio.to_thread.run_sync(back_up, settings, url, to)


async def lines_of(settings: Settings, event: str) -> list[Any]:
    """The lines of the log that tell of this, when there is one."""
    with trio.fail_after(10):
        while True:
            text = await trio.Path(str(settings.log_file)).read_text()
            lines = [json.loads(line) for line in text.splitlines() if f'"{event}"' in line]
            if lines:
                return lines
            await trio.sleep(0.01)


async def test_the_copy_is_a_store_of_its_own(
    service: RunningService, settings: Settings, tmp_path: Path, capfd: Said
) -> None:
    """A service on it knows all jobs, and goes on with those that have not ended."""
    later = await service.queue.submit("echo", "later", delay_seconds=1_000)
    copy = tmp_path / "copy.db"
    assert await ask_for_backup(settings, copy) == 0
    size = copy.stat().st_size
    assert capfd.readouterr().out == f"{copy}: {size:,} bytes\n"
    (told,) = await lines_of(settings, "store_backed_up")
    assert (told["path"], told["bytes"], told["by"]) == (str(copy), size, "nightly")
    await service.queue.cancel(later.id)
    twin = Settings(port=0, store=str(copy), log_file=str(tmp_path / "log2"))
    async with host(REGISTRY, twin) as running:
        assert [job.status for job in await running.queue.list()] == ["completed", "pending"]


async def test_what_is_there_is_not_replaced(
    service: RunningService, settings: Settings, tmp_path: Path, capfd: Said
) -> None:
    """Nor is a folder made; the one line says what is wrong."""
    for copy, problem in [
        (tmp_path / "log", "is there already: name a new file"),
        (tmp_path / "none" / "copy.db", "No such file or directory"),
    ]:
        assert await ask_for_backup(settings, copy) == 1
        said = capfd.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"job-service: unix:{settings.unix}: ")
        assert said.err.endswith(f"{problem}\n")


async def test_a_file_that_no_service_has_is_copied_as_it_is(
    settings: Settings, tmp_path: Path, capfd: Said
) -> None:
    """It is neither made nor brought up to date for that."""
    assert back_up(settings, None, tmp_path / "copy.db") == 1
    assert f"there is no database at {tmp_path / 'jobs.db'}" in capfd.readouterr().err
    assert not (tmp_path / "jobs.db").exists()
    async with host(REGISTRY, settings) as running:
        await running.queue.submit("echo", "hello", delay_seconds=1_000)
    before = (tmp_path / "jobs.db").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["--store", settings.store, "backup", str(tmp_path / "copy.db")])
    assert ended.value.code == 0
    assert (tmp_path / "jobs.db").read_bytes() == before
    assert (tmp_path / "copy.db").read_bytes()[100:] == before[100:]  # but for SQLite's own head


async def test_another_service_is_not_taken_for_the_one_that_is_meant(
    service: RunningService, settings: Settings, tmp_path: Path, capfd: Said
) -> None:
    """Else the wrong jobs would be in the backup, and nobody would know."""
    other = Settings(port=0, tokens=("secret",), log_file=str(tmp_path / "log2"))
    async with host(REGISTRY, other) as running:
        port = int(running.url.rpartition(":")[2])
        meant = Settings(port=port, tokens=("secret",), store=settings.store)
        assert await ask_for_backup(meant, tmp_path / "copy.db") == 1
    assert "its store is memory, and another process has" in capfd.readouterr().err


async def test_jobs_in_memory_have_no_backup(tmp_path: Path, capfd: Said) -> None:
    """There is no file that could be copied."""
    settings = Settings(port=0, log_file=str(tmp_path / "log"))
    async with host(REGISTRY, settings) as running:
        assert await ask_for_backup(settings, tmp_path / "copy.db", running.url) == 1
        assert "jobs are kept in memory here" in capfd.readouterr().err
        with pytest.raises(BackupRefused):
            await running.queue.back_up(tmp_path / "copy.db")


async def test_it_takes_a_token(
    service: RunningService, settings: Settings, tmp_path: Path, capfd: Said
) -> None:
    """As any call does."""
    stranger = Settings(unix=settings.unix, store=settings.store, tokens=("guess",))
    assert await ask_for_backup(stranger, tmp_path / "copy.db") == 1
    assert "send a valid token" in capfd.readouterr().err
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.usefixtures("unclosed_sockets")
@pytest.mark.filterwarnings("ignore:.*unclosed <socket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_if_no_service_answers_the_status_says_so(tmp_path: Path, capfd: Said) -> None:
    """A script can tell that from a backup that was refused."""
    with socket.socket() as probe:  # bound, but nobody listens
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        for arguments in (
            ["--port", str(port), "backup", str(tmp_path / "copy.db")],
            ["--host", "::", "--no-auth", "--port", str(port), "backup", "copy.db"],
            ["backup", "--url", f"http://127.0.0.1:{port}/jobs", str(tmp_path / "copy.db")],
            ["--unix", str(tmp_path / "none"), "backup", str(tmp_path / "copy.db")],
        ):
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            assert ended.value.code == 3
            assert "no service answers at " in capfd.readouterr().err


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://[::1", "http://a:b"])
def test_a_url_is_checked(url: str, tmp_path: Path) -> None:
    """It has a scheme, a host and perhaps a port."""
    with pytest.raises(SettingsError, match="must be such as http://127"):
        back_up(Settings(), url, tmp_path / "copy.db")


async def test_who_answers_but_is_no_job_service_is_told(tmp_path: Path, capfd: Said) -> None:
    """By its status."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        assert await ask_for_backup(Settings(), tmp_path / "copy.db", url) == 1
        nursery.cancel_scope.cancel()
    assert f"{url}: it answers 404, and does not say why" in capfd.readouterr().err
