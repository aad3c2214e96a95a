"""A search that takes the server long holds up nobody else, and ends."""

import psycopg
import pytest
import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import StoreFailing
from tests.stores.postgres.service import services

LOCK = "BEGIN; LOCK TABLE job_service.finished"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"


async def test_a_slow_search_holds_up_nobody_and_ends_with_an_error(database: str) -> None:
    """Its caller may try again; the store is not in trouble, and can search again at once."""
    registry = Registry()
    why: list[str] = []

    async with services(database, registry, 1) as (service,):

        async def search(task_status: trio.TaskStatus) -> None:
            task_status.started()
            with pytest.raises(StoreUnavailable) as error:
                await service.queue.page(error="zz")
            why.append(str(error.value))

        with psycopg.connect(database) as other, psycopg.connect(database) as watcher:
            other.execute(LOCK)
            async with trio.open_nursery() as nursery:
                await nursery.start(search)
                while watcher.execute(WAITING, ["job_service.finished"]).fetchone() == (0,):
                    watcher.commit()
                    await trio.sleep(0.01)
                await service.queue.nodes()
                assert why == [], "others have waited for the search"
        assert why == ["the database takes too long to find these jobs"]
        assert (await service.queue.page(error="zz")).jobs == []
    assert not any(isinstance(event, StoreFailing) for event in service.events)
