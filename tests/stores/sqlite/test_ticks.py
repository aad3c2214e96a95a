"""What is kept of a schedule: its last tick."""

from pathlib import Path

from job_service.jobs.state.model import Draft
from job_service.stores.contract import Tick
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file


async def test_the_last_tick_is_the_same_after_a_crash(path: Path) -> None:
    """When its job was made, and which that is, as it was told before."""
    draft = Draft("refresh", b"null", 3, schedule="refresh")
    async with opened_file(path) as shop:
        await shop.store.submit([draft], schedule="refresh")
        shop.seconds = 60
        [job] = await shop.store.submit([draft], schedule="refresh")
        told = {"refresh": Tick("refresh", job.created_at, job.id)}
        assert shop.store.last_ticks() == told
        copy = as_after_a_crash(path)
    async with opened_file(copy, start_at=90) as shop:
        assert shop.store.last_ticks() == told
