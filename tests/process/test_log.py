"""The log of a real process where the world is in its way: stuck, broken, full or rotated."""

import fcntl
import gzip
import json
import os
import pty
import shutil
import signal
import struct
import sys
import termios
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import httpx
import pytest
import trio

from tests.docs.pages import DOCS, Page
from tests.forking import POLL_SECONDS
from tests.process.conftest import COMMAND, START_SECONDS, ServiceProcess, Start
from tests.process.test_shutdown import assert_books_agree

LOGROTATE = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
STUCK_SECONDS = 10.0
ANSWER_SECONDS = 2.0

# A buffer that a test can fill in ten seconds.
SMALL_BUFFER = (
    "from job_service.telemetry import assembly; from functools import partial;"
    "assembly.LineSink = partial(assembly.LineSink, capacity_lines=100)"
)


async def read_lines(stream: trio.abc.ReceiveStream, read: bytearray) -> None:
    """Read all that comes."""
    async for piece in stream:
        read += piece


def parsed(read: bytes | bytearray) -> list[dict[str, Any]]:
    """The complete lines."""
    complete, _, _ = bytes(read).rpartition(b"\n")
    return [json.loads(line) for line in complete.splitlines()]


@pytest.mark.slow
async def test_a_reader_that_stops_for_ten_seconds_holds_nobody(nursery: trio.Nursery) -> None:
    """Answers stay fast under load, only log lines are lost, and all of these are told, once."""
    command = [COMMAND[0], "-c", f"from job_service import main; import sys; {SMALL_BUFFER}; "]
    command[-1] += "main.main(sys.argv[1:])"
    command += [*COMMAND[3:], "--stall-threshold", "60"]  # those of a busy machine are not meant
    process = await nursery.start(partial(trio.run_process, command, stdout=PIPE, check=False))
    read = bytearray()
    with trio.fail_after(START_SECONDS):
        while b"service_started" not in read:
            read += await process.stdout.receive_some()
    (url,) = [line["url"] for line in parsed(read) if line["event"] == "service_started"]
    receipts: list[str] = []

    async def load(client: httpx.AsyncClient) -> None:
        end = trio.current_time() + STUCK_SECONDS
        while trio.current_time() < end:
            with trio.fail_after(ANSWER_SECONDS):
                answer = await client.post("/jobs", json={"type": "echo"})
            assert answer.status_code in (201, 429)
            if answer.status_code == 201:
                receipts.append(answer.json()["id"])
            await trio.sleep(0.1)

    async with httpx.AsyncClient(base_url=url) as client:
        async with trio.open_nursery() as clients:
            for _ in range(4):
                clients.start_soon(load, client)
        metrics = (await client.get("/metrics")).json()
        assert metrics["log_lines_dropped"] > 0, "told at once where the log can't"
        async with trio.open_nursery() as reading:
            reading.start_soon(read_lines, process.stdout, read)
            with trio.fail_after(START_SECONDS):
                while b"log_lines_dropped" not in read:
                    await trio.sleep(POLL_SECONDS)
            metrics = (await client.get("/metrics")).json()
            assert metrics["jobs_created"] == metrics["jobs_completed"] >= len(receipts) > 0
            process.terminate()
            with trio.fail_after(10):
                assert await process.wait() == 0

    lines = parsed(read)
    (told,) = [line for line in lines if line["event"] == "log_lines_dropped"]
    last = lines[-1]
    assert last["event"] == "service_stopped"
    assert last["log_lines_dropped"] == told["lines"] == metrics["log_lines_dropped"]
    counted = Counter(line["event"] for line in lines)
    missing = sum(
        last["jobs_created"] - counted[event]
        for event in ("job_created", "job_enqueued", "job_started", "job_completed")
    )
    assert missing == told["lines"], "nothing else is lost"


@pytest.mark.slow
async def test_a_rotated_log_file_is_opened_anew(start: Start, tmp_path: Path) -> None:
    """On SIGHUP the lines go on in a new file, and together the two tell the whole story."""
    path = tmp_path / "service.log"
    process = await serve_to_file(start, path)
    async with process.client() as client:
        for number in range(3):
            assert (await client.post("/jobs", json={"type": "echo"})).status_code == 201
            await process.line("job_completed")
            path.rename(tmp_path / f"old-{number}.log")
            process.signal(signal.SIGHUP)
            with trio.fail_after(START_SECONDS):
                while not path.exists():
                    await trio.sleep(POLL_SECONDS)
    process.signal()
    assert await process.exit_status() == 0
    parts = [tmp_path / f"old-{number}.log" for number in range(3)] + [path]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_books_agree(process)
    assert process.count()["job_completed"] == 3


@pytest.mark.slow
@pytest.mark.skipif(LOGROTATE is None, reason="needs logrotate")
async def test_logrotate_rotates_it_as_the_page_says(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the sample of the page: no line is lost, and a service that has stopped is no error."""
    path = tmp_path / "jobs.log"
    process = await serve_to_file(start, path)
    (sample,) = (b.text for b in Page(DOCS / "operations.md").blocks if b.title == "logrotate.conf")
    config = tmp_path / "logrotate.conf"
    config.write_text(sample.replace("/var/log/shop/jobs.log", str(path)))
    systemctl = tmp_path / "systemctl"  # of systemd, which is not here
    systemctl.write_text(f"#!/bin/sh\nexec kill -HUP {process.process.pid}\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    rotate = [str(LOGROTATE), "--force", "--state", str(tmp_path / "state"), str(config)]
    async with process.client() as client:
        for _ in range(2):
            assert (await client.post("/jobs", json={"type": "echo"})).status_code == 201
            await process.line("job_completed")
            await trio.run_process(rotate)
            with trio.fail_after(START_SECONDS):
                while not path.exists():
                    await trio.sleep(POLL_SECONDS)
    process.signal()
    assert await process.exit_status() == 0
    await trio.run_process(rotate)
    parts = [
        gzip.decompress((tmp_path / f"jobs.log.{number}.gz").read_bytes()) for number in (3, 2)
    ]
    path.write_bytes(b"".join([*parts, (tmp_path / "jobs.log.1").read_bytes()]))
    assert_books_agree(process)
    assert process.count()["job_completed"] == 2


async def serve_to_file(start: Start, path: Path, **options: Any) -> ServiceProcess:
    """A service whose log is this file; its stdout stays empty."""
    service: ServiceProcess = await start("--log-file", str(path), log_path=path, **options)
    return service


@pytest.mark.slow
async def test_a_terminal_is_written_to_in_its_width_and_in_colours(nursery: trio.Nursery) -> None:
    """And with the line that names the port, however little is to be logged."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    command = [sys.executable, "-m", "job_service", "--port", "0", "--log-level", "warning"]
    without = {"NO_COLOR", "JOB_SERVICE_LOG_FORMAT"}
    environment = {name: value for name, value in os.environ.items() if name not in without}
    process = await nursery.start(
        partial(trio.run_process, command, stdout=theirs, env=environment, check=False)
    )
    os.close(theirs)
    async with trio.lowlevel.FdStream(ours) as terminal:
        read = bytearray()
        with trio.fail_after(START_SECONDS):
            while not read.endswith(b"\n"):
                read += await terminal.receive_some()
        (row,) = read.decode().splitlines()
        assert "url=http://127.0.0.1:" in row
        assert "job_types=count_words,echo,fail,flaky,sleep" in row
        assert "\x1b[" in row
        process.terminate()
        with trio.fail_after(10):
            assert await process.wait() == 0


@pytest.mark.slow
async def test_a_full_disk_costs_lines_and_no_jobs(start: Start, tmp_path: Path) -> None:
    """A log file that may not grow: jobs run, the losses are in the metrics, the end is as ever."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))"
    service = await serve_to_file(start, tmp_path / "service.log", before=limit)
    async with service.client() as client:
        for _ in range(50):
            answer = await client.post("/jobs", json={"type": "echo"})
            assert answer.status_code == 201
        with trio.fail_after(START_SECONDS):
            while (metrics := (await client.get("/metrics")).json())["jobs_completed"] < 50:
                await trio.sleep(POLL_SECONDS)
        with trio.fail_after(START_SECONDS):
            while metrics["log_lines_dropped"] < 150:
                metrics = (await client.get("/metrics")).json()
                await trio.sleep(POLL_SECONDS)
    service.signal()
    assert await service.exit_status(within=10) == 0


@pytest.mark.slow
async def test_a_reader_that_is_gone_costs_lines_and_no_jobs(nursery: trio.Nursery) -> None:
    """After a broken pipe the service goes on, and neither spins nor hangs at its end."""
    process = await nursery.start(
        partial(trio.run_process, COMMAND, stdout=PIPE, stderr=DEVNULL, check=False)
    )
    read = bytearray()
    with trio.fail_after(START_SECONDS):
        while b"service_started" not in read:
            read += await process.stdout.receive_some()
    (url,) = [line["url"] for line in parsed(read) if line["event"] == "service_started"]
    await process.stdout.aclose()
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/jobs", json={"type": "echo"})).status_code == 201
        with trio.fail_after(START_SECONDS):
            while (await client.get("/metrics")).json()["log_lines_dropped"] < 4:
                await trio.sleep(POLL_SECONDS)
        before = cpu_seconds(process.pid)
        await trio.sleep(1)
        assert cpu_seconds(process.pid) - before < 0.5
    process.terminate()
    with trio.fail_after(10):
        assert await process.wait() == 0


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    with suppress(FileNotFoundError):
        *_, user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    pytest.skip("needs /proc")
