"""Handlers in processes of a real service, and signals that reach all of its processes."""

import os
import signal
from pathlib import Path

import pytest
import trio

from tests.process.conftest import Start, submitting

JOBS = """
import os
import pathlib
import time
from job_service import Registry

registry = Registry()

@registry.job("spin", runs_in="process")
def spin(seconds: float) -> None:
    pathlib.Path("spinning").write_text(str(os.getpid()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
"""
OWN_JOBS = """
from job_service import JobContext, Registry
from service.prices import in_cents

registry = Registry()

@registry.job("on the loop")
async def on_the_loop(euros: float, job: JobContext) -> int:
    return in_cents(euros)

@registry.job("in a process", runs_in="process")
def in_a_process(euros: float) -> int:
    return in_cents(euros)
"""
OWN_PRICES = """
def in_cents(euros: float) -> int:
    return round(100 * euros)
"""
IN_A_GROUP = ["setsid"]
SECONDS = 20.0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_the_terminals_signals_are_the_services_alone(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C, or that it goes: the job is finished, and there is no traceback.

    While a process is starting, too.
    """
    (tmp_path / "spinning_jobs.py").write_text(JOBS)
    service = await start("--jobs", "spinning_jobs:registry", within=IN_A_GROUP)
    async with submitting(service) as submit:
        await submit("spin", 1)
        with trio.fail_after(SECONDS):
            while not is_starting_one(service.process.pid):
                await trio.sleep(0.001)
        await trio.sleep(0.03)  # till it is a program of its own, without the service's handlers
        os.killpg(service.process.pid, number)

    assert await service.exit_status() == 0
    assert service.count()["job_completed"] == 1  # each line of its output is a line of the log
    assert service.count()["job_retried"] == 0


@pytest.mark.slow
async def test_a_process_ends_with_a_service_that_is_killed(start: Start, tmp_path: Path) -> None:
    """It does not go on for nobody."""
    (tmp_path / "spinning_jobs.py").write_text(JOBS)
    service = await start("--jobs", "spinning_jobs:registry", program=True)
    async with submitting(service) as submit:
        await submit("spin", 3_600)
    with trio.fail_after(SECONDS):
        while not (tmp_path / "spinning").exists() or not (tmp_path / "spinning").read_text():
            await trio.sleep(0.02)
        process = int((tmp_path / "spinning").read_text())
        service.signal(signal.SIGKILL)
        while is_running(process):
            await trio.sleep(0.02)


@pytest.mark.slow
async def test_a_project_may_call_its_own_package_service(start: Start, tmp_path: Path) -> None:
    """Its handlers import from it, on the loop and in processes."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").touch()
    (tmp_path / "service" / "prices.py").write_text(OWN_PRICES)
    (tmp_path / "service" / "jobs.py").write_text(OWN_JOBS)
    service = await start("--jobs", "service.jobs:registry", program=True)
    async with service.client() as client:
        for job_type in ("on the loop", "in a process"):
            job = (await client.post("/jobs", json={"type": job_type, "payload": 9.99})).json()
            ended = (await client.get(f"/jobs/{job['id']}", params={"wait": 10})).json()
            assert (ended["status"], ended["result"]) == ("completed", 999), ended


def is_starting_one(process_id: int) -> bool:
    """Whether a process beside multiprocessing's own tracker has been started."""
    children = Path(f"/proc/{process_id}/task").glob("*/children")
    return sum(len(path.read_text().split()) for path in children) > 1


def is_running(process_id: int) -> bool:
    """Whether there is such a process, other than one that nobody has buried."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
