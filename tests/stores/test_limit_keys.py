"""The key for which the limits of a job's type hold is kept with the job, in whatever store."""

import pytest

from job_service import Draft
from tests.stores.workshop import Workshop


@pytest.mark.parametrize("key", ["acme", "ä", "a\\b", "a\0b", "\U0010ffff" * 255, None])
async def test_a_job_keeps_its_limit_key(key: str | None, shop: Workshop) -> None:
    """While it waits, when it has ended, and when it is run again."""
    (job,) = await shop.submit(Draft("email", b"{}", 3, limit_key=key))
    assert (await shop.store.get(job.id)).limit_key == key
    await shop.run(job.id, "complete")
    assert (await shop.store.get(job.id)).limit_key == key
    again = await shop.store.run_again(job.id)
    assert (await shop.store.get(again.id)).limit_key == key
