"""A program that makes more calls at the same time than httpx allows."""

from pathlib import Path

import pytest
import trio
import trio.testing

from job_service.client import AsyncJobClient
from tests.client.conftest import Serve


@pytest.mark.parametrize("place", ["port", "socket"])
async def test_waits_hold_up_no_other_call(serve: Serve, tmp_path: Path, place: str) -> None:
    """However many of them there are: httpx has 100 connections, and no end to wait for one."""
    path = tmp_path / "s"
    async with serve(**({"unix": str(path)} if place == "socket" else {})) as running:
        await running.queue.pause("sleep")
        job = await running.queue.submit("sleep", 0)
        async with (
            AsyncJobClient(f"unix:{path}" if place == "socket" else running.url) as client,
            trio.open_nursery() as nursery,
        ):
            for _ in range(101):
                nursery.start_soon(client.wait, job.id)
            await trio.testing.wait_all_tasks_blocked()
            with trio.fail_after(30):
                assert (await client.get(job.id)).status == "pending"
            nursery.cancel_scope.cancel()
