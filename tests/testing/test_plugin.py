"""The fixture `virtual_time`, with pytest alone, with pytest-trio, and with pytest-asyncio."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
import trio
from job_service import JobContext, Registry, Retry
from job_service.testing import assert_completed, run, virtual_service, waits

registry = Registry()


@registry.job("flaky", retry=Retry(base_seconds=3600))
async def flaky(job: JobContext) -> int:
    if job.attempt == 1:
        raise LookupError("not yet")
    return job.attempt


@pytest.mark.parametrize("result", [2, 3])
async def test_run(virtual_time, result):
    job = await run(registry, "flaky")
    assert waits(job) == [3600]
    assert_completed(job, result)


async def test_service(virtual_time):
    async with virtual_service(registry) as service:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.wait_until_idle)
            await service.queue.submit("flaky")
            await trio.sleep(7200)
            assert service.metrics().jobs_completed == 2


async def test_skipped(virtual_time):
    async with virtual_service(registry):
        pytest.skip("on purpose")


def test_clock_alone(virtual_time):
    virtual_time.jump(5)
    assert virtual_time.current_time() == 5
"""
SETTINGS = {
    "plain": "",
    "trio": "trio_mode = true\naddopts = -p pytest_trio.plugin\n",
    "asyncio": (
        "asyncio_mode = auto\naddopts = -p pytest_asyncio.plugin\n"
        "asyncio_default_fixture_loop_scope = function\n"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_failures_are_told_without_groups(kind: str, tmp_path: Path) -> None:
    """What fails shows its own assertion, as in a plain test; what is skipped is skipped."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{SETTINGS[kind]}")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["job_service.testing.plugin"]\n')
    (tmp_path / "test_jobs.py").write_text(TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 failed, 2 passed, 1 skipped" in run.stdout, run.stdout
    assert "Group" not in run.stdout
    assert "its result is 2, and not 3" in run.stdout
    assert "assert 1 == 2" in run.stdout
    assert "attempt 1 at 2026-01-01 00:00:00: failed" in run.stdout
    assert "ungrouped" not in run.stdout, "the traceback shows the test and no plumbing"
