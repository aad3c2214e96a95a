"""A backup as an operator makes it: by the command, of a service that runs."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.process.conftest import Start, submitting

COMMAND = [sys.executable, "-m", "job_service"]


@pytest.mark.slow
async def test_a_service_goes_on_where_the_backup_was_made(start: Start, tmp_path: Path) -> None:
    """Its file is a store like any other, and the one that it was made of goes on, too."""
    service = await start("--store", str(tmp_path / "jobs.db"))
    async with submitting(service) as submit, service.client() as client:
        first = await submit("echo", "first")
        await client.get(f"/jobs/{first}?wait=10")
        waits = await submit("echo", "waits", delay_seconds=1_000)
        told = await trio.run_process(
            [*COMMAND, "--port", str(service.port), "backup", "copy.db"],
            capture_stdout=True,
            cwd=tmp_path,
        )
        assert told.stdout.decode().startswith(f"{tmp_path / 'copy.db'}: ")
        await submit("echo", "later")
    await trio.run_process([*COMMAND, "check", tmp_path / "copy.db"], stdout=subprocess.DEVNULL)
    twin = await start("--store", str(tmp_path / "copy.db"))
    async with twin.client() as client:
        jobs = (await client.get("/jobs")).json()
        assert [(job["id"], job["status"]) for job in jobs] == [
            (first, "completed"),
            (waits, "pending"),
        ]
