"""What handlers fork, start and leave running is no part of the service, and can't hold its end."""

import os
import signal
import socket
from pathlib import Path

import pytest
import trio

from tests.process.conftest import Start, submitting

JOBS = """
import logging
import multiprocessing
import os
import pathlib
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import trio
from job_service import JobContext, Registry, Retry

registry = Registry()
fork = multiprocessing.get_context("fork")

def sleep(path=None):
    if path:
        pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(600)

@registry.job("terminates")
def terminates() -> int:
    child = fork.Process(target=sleep)
    child.start()
    child.terminate()
    child.join(20)
    return child.exitcode

@registry.job("terminates_on_the_loop")
async def terminates_on_the_loop() -> int:
    return terminates()

@registry.job("leaves")
def leaves() -> None:
    threading.Thread(target=sleep).start()
    ThreadPoolExecutor().submit(sleep)
    fork.Process(target=sleep, args=("daemon",), daemon=True).start()
    if os.fork() == 0:
        sleep("orphan")

@registry.job("says")
def says(job: JobContext) -> None:
    def say() -> None:
        logging.getLogger("lib").error("from a child")
        job.log.warning("from_the_handler_s_child")
    child = fork.Process(target=say)
    child.start()
    child.join()
    class Broken:
        def __del__(self) -> None:
            raise ValueError("while it went")
    Broken()
    thread = threading.Thread(target=lambda: 1 / 0, name="helper")
    thread.start()
    thread.join()

@registry.job("comes_back")
async def comes_back(how: str) -> str:
    if os.fork() == 0:
        if how == "raises":
            raise ValueError("in the child")
        if how == "awaits":
            await trio.sleep(600)
    return "done"

@registry.job("pools")
def pools() -> list[int]:
    global pool
    pool = ProcessPoolExecutor(1)
    return [pool.submit(os.getpid).result()]

@registry.job("reads_stdin")
def reads_stdin() -> str:
    return os.readlink("/proc/self/fd/0")
"""
SECONDS = 20.0


@pytest.mark.slow
async def test_what_handlers_leave_running_can_t_hold_the_end(start: Start, tmp_path: Path) -> None:
    """Neither threads nor children keep process, port or clients; its status is what it has said.

    A child is stopped as it would be anywhere, also if that comes as soon as it has been started.
    """
    (tmp_path / "leaving.py").write_text(JOBS)
    service = await start("--jobs", "leaving:registry")
    with socket.create_connection(("127.0.0.1", service.port)) as waits:
        async with submitting(service) as submit, service.client() as client:
            for job_type in ("terminates", "terminates_on_the_loop"):
                job_id = await submit(job_type)
                story = (await client.get(f"/jobs/{job_id}?wait=20")).json()
                assert story["result"] == -signal.SIGTERM
            await submit("leaves")
        with trio.fail_after(SECONDS):
            while not all((tmp_path / name).exists() for name in ("daemon", "orphan")):
                await trio.sleep(0.01)
        service.signal()
        assert await service.exit_status() == 0
        assert service.lines()[-1]["reason"] == "drained"

        orphan = int((tmp_path / "orphan").read_text())
        assert is_running(orphan)
        try:
            waits.settimeout(SECONDS)
            assert waits.recv(1) == b""  # the child has not kept the connection
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", service.port))
                listener.listen()
        finally:
            os.kill(orphan, signal.SIGKILL)
    assert not is_running(int((tmp_path / "daemon").read_text()))


@pytest.mark.slow
async def test_what_is_said_beside_the_log_is_in_it(start: Start, tmp_path: Path) -> None:
    """By a forked child, by an object that goes, and by a thread; and nothing is on stderr."""
    (tmp_path / "leaving.py").write_text(JOBS)
    service = await start("--jobs", "leaving:registry")
    async with submitting(service) as submit:
        job_id = await submit("says")
        await service.line("job_completed")
    service.signal()
    assert await service.exit_status() == 0
    messages = [str(line["message"]) for line in service.of("library_message")]
    assert any(message == "from a child" for message in messages)
    assert any("Broken.__del__" in message for message in messages)
    assert any(message == "error in thread helper" for message in messages)
    (line,) = service.of("from_the_handler_s_child")
    assert line["job_id"] == job_id


@pytest.mark.slow
async def test_a_copy_of_the_service_ends_at_once(start: Start, tmp_path: Path) -> None:
    """A child that a handler forks on the loop can't go on as a second service."""
    (tmp_path / "leaving.py").write_text(JOBS)
    service = await start("--jobs", "leaving:registry")
    async with submitting(service) as submit, service.client() as client:
        for how in ("returns", "raises", "awaits"):
            job_id = await submit("comes_back", how)
            story = (await client.get(f"/jobs/{job_id}?wait=20")).json()
            assert story["result"] == "done"
        assert (await client.get("/metrics")).json()["jobs_completed"] == 3
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    with trio.fail_after(SECONDS):
        while any(is_running(int(child)) for child in children.read_text().split()):
            await trio.sleep(0.01)
    service.signal()
    assert await service.exit_status() == 0


@pytest.mark.slow
async def test_a_pool_of_processes_ends_with_the_service(start: Start, tmp_path: Path) -> None:
    """Though the handler has left it open."""
    (tmp_path / "leaving.py").write_text(JOBS)
    service = await start("--jobs", "leaving:registry", program=True)
    async with submitting(service) as submit, service.client() as client:
        story = (await client.get(f"/jobs/{await submit('pools')}?wait=20")).json()
    (member,) = story["result"]
    assert is_running(member)
    service.signal()
    assert await service.exit_status() == 0
    with trio.fail_after(SECONDS):
        while is_running(member):
            await trio.sleep(0.01)


@pytest.mark.slow
async def test_a_closed_stdin_is_nothing(start: Start, tmp_path: Path) -> None:
    """Its number is not given to a file or socket of the service, which handlers would inherit."""
    (tmp_path / "leaving.py").write_text(JOBS)
    service = await start("--jobs", "leaving:registry", before="import os; os.close(0)")
    async with submitting(service) as submit, service.client() as client:
        job_id = await submit("reads_stdin")
        story = (await client.get(f"/jobs/{job_id}?wait=20")).json()
    assert story["result"] == os.devnull


def is_running(process_id: int) -> bool:
    """Whether there is such a process, other than one that nobody has buried."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
