"""However much a store remembers, the garbage collector does not stop the loop for it."""

import gc

from job_service import Draft
from job_service.stores.contract import KeyedRequest
from tests.stores.conftest import opened
from tests.stores.workshop import OpenStore, Workshop

JOBS = 200


async def test_what_is_remembered_of_keys_is_not_looked_at(open_store: OpenStore) -> None:
    """There may be very many: each of the jobs that are run again at once has a key for a day."""
    async with opened(open_store, capacity=3 * JOBS) as shop:
        await looked_at_more(shop, keyed=True)  # what is made once
        without_keys = await looked_at_more(shop, keyed=False)
        assert await looked_at_more(shop, keyed=True) < without_keys + JOBS / 2


async def looked_at_more(shop: Workshop, *, keyed: bool) -> int:
    """How many objects more the collector looks at after as many submissions as JOBS."""
    gc.collect()
    before = len(gc.get_objects())
    for number in range(JOBS):
        request = KeyedRequest(f"key {before} {number}", b"asked") if keyed else None
        await shop.store.submit([Draft("email", b"{}", 3)], request)
    await shop.store.settled()
    gc.collect()
    return len(gc.get_objects()) - before
