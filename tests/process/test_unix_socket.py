"""A service on a Unix socket: who may open it, what is done to its path, and what is left of it."""

import signal
import socket
import stat
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.forking import Ancestor
from tests.process.conftest import OPTIONS, Start
from tests.process.test_shutdown import STUBBORN_JOBS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the service is to listen."""
    return tmp_path / "service.sock"


Refused = Callable[[Path], Awaitable[str]]


@pytest.fixture
def refused(ancestor: Ancestor, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """Gives the one line of a service that does not start at a path."""

    async def line_of(path: Path) -> str:
        folder = tmp_path_factory.mktemp("refused")
        output = folder / "output"
        process = ancestor.start([*OPTIONS, "--unix", str(path)], "", folder, output)
        with trio.fail_after(20):
            assert await process.wait() == 2
        (line,) = output.read_text().splitlines()
        assert line.startswith("job-service: ")  # and no line of the log
        assert str(path) in line
        return line

    return line_of


def leave_stale(path: Path) -> None:
    """A socket that nobody listens on any more."""
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))


async def test_jobs_are_submitted_over_it(start: Start, path: Path, curl: str) -> None:
    """Only its owner may open it, no port is open, and SIGTERM removes it."""
    service = await start("--unix", str(path), before="import os; os.umask(0)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert service.url == f"unix:{path}"
    async with service.client() as client:
        created = await client.post("/jobs", json={"type": "echo", "payload": 1})
        assert created.status_code == 201
        await service.line("job_completed")
        story = await client.get(created.headers["Location"])
        assert story.json()["result"] == 1
        assert (await client.get("/metrics", headers={"Host": "any.example"})).status_code == 200
    done = await trio.run_process(
        [curl, "-sS", "--max-time", "10", "--unix-socket", str(path), "http://localhost/health"],
        capture_stdout=True,
    )
    assert done.stdout == b'{"status":"ok"}'
    service.signal()
    assert await service.exit_status() == 0
    assert not path.exists()


@pytest.mark.slow
async def test_a_stale_one_is_replaced(start: Start, path: Path) -> None:
    """What a killed service left behind is no obstacle."""
    leave_stale(path)
    service = await start("--unix", str(path))
    async with service.client() as client:
        assert (await client.get("/health")).status_code == 200
    service.process.kill()
    await service.exit_status()
    assert path.exists()
    again = await start("--unix", str(path))
    async with again.client() as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_live_one_is_refused(start: Start, refused: Refused, path: Path) -> None:
    """Exit status 2 in one line, and the first service knows nothing of it."""
    service = await start("--unix", str(path))
    assert "in use" in await refused(path)
    async with service.client() as client:
        assert (await client.get("/health")).status_code == 200
    service.signal()
    assert await service.exit_status() == 0
    assert not path.exists()
    assert service.count()["connection_failed"] == 0


@pytest.mark.slow
async def test_anything_else_at_the_path_is_kept(refused: Refused, tmp_path: Path) -> None:
    """It is not ours to remove."""
    precious = tmp_path / "file"
    precious.write_text("precious")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / "dangling link").symlink_to(tmp_path / "nothing")
    before = {path: path.lstat().st_ino for path in tmp_path.iterdir()}
    async with trio.open_nursery() as side_by_side:
        for path in before:
            side_by_side.start_soon(refused, path)
    assert {path: path.lstat().st_ino for path in tmp_path.iterdir()} == before
    assert precious.read_text() == "precious"


async def test_a_path_that_can_t_be_is_told_in_one_line(refused: Refused, tmp_path: Path) -> None:
    """No such directory, or longer than a socket's path may be."""
    async with trio.open_nursery() as side_by_side:
        side_by_side.start_soon(refused, tmp_path / "nowhere" / "service.sock")
        side_by_side.start_soon(refused, tmp_path / ("x" * 200))


@pytest.mark.slow
async def test_it_is_removed_at_every_end_but_a_kill(start: Start, tmp_path: Path) -> None:
    """After a second signal, and where a handler can't be ended."""
    (tmp_path / "stubborn.py").write_text(STUBBORN_JOBS)

    async def end(job_type: str, signals: int) -> None:
        path = tmp_path / f"{job_type}.sock"
        service = await start(
            *("--unix", str(path), "--jobs", "stubborn:registry", "--grace", "0.1")
        )
        async with service.client() as client:
            assert (await client.post("/jobs", json={"type": job_type})).status_code == 201
        await service.line("job_started")
        for _ in range(signals):
            service.signal(signal.SIGINT)
        assert await service.exit_status() == 1
        assert not path.exists()

    async with trio.open_nursery() as side_by_side:
        side_by_side.start_soon(end, "swallow", 1)
        side_by_side.start_soon(end, "thread", 2)


@pytest.mark.slow
async def test_it_is_removed_where_the_loop_is_blocked(start: Start, tmp_path: Path) -> None:
    """The process ends all the same, and so should its socket."""
    (tmp_path / "stubborn.py").write_text(STUBBORN_JOBS)
    path = tmp_path / "service.sock"
    service = await start(
        *("--unix", str(path), "--jobs", "stubborn:registry", "--grace", "0"),
        before="main.BACKSTOP_SECONDS = 0.3",
    )
    async with service.client() as client, trio.open_nursery() as waiting:
        waiting.start_soon(partial(client.post, "/jobs", json={"type": "block"}))
        await service.line("job_started")
        waiting.cancel_scope.cancel()  # the answer may be blocked as well
    service.signal()
    assert await service.exit_status() == 1
    assert not path.exists()


@pytest.mark.slow
async def test_another_service_that_took_the_path_keeps_it(start: Start, path: Path) -> None:
    """Who ends removes its own socket, and not the one that came after it."""
    first = await start("--unix", str(path))
    path.rename(path.with_name("lost.sock"))  # its inode stays taken
    second = await start("--unix", str(path))
    first.signal()
    assert await first.exit_status() == 0
    async with second.client() as client:
        assert (await client.get("/health")).status_code == 200
    second.signal()
    assert await second.exit_status() == 0
    assert not path.exists()
