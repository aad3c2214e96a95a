"""The disk under the database is full: it is told, waited for, and nothing is lost."""

import secrets
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import StoreFailing, StoreRecovered
from tests.process.chaos.small_disk import SmallDisk, small_disk_under, why_there_is_none
from tests.stores.postgres.cluster import Cluster, running_cluster
from tests.stores.postgres.cluster import why_there_is_none as why_no_server
from tests.stores.postgres.service import services

pytestmark = pytest.mark.slow
SECONDS = 60.0


@pytest.fixture
def with_disk() -> Iterator[tuple[Cluster, SmallDisk]]:
    """A server whose databases are on a disk that can be full."""
    if (why := why_no_server() or why_there_is_none()) is not None:
        pytest.skip(why)
    with running_cluster() as cluster, small_disk_under(cluster) as disk:
        yield cluster, disk


async def test_a_full_disk_is_waited_for(with_disk: tuple[Cluster, SmallDisk]) -> None:
    """Submissions are refused until there is room again. What was accepted before runs."""
    cluster, disk = with_disk
    registry = Registry()

    @registry.job("email")
    async def email(text: str) -> None:
        await trio.lowlevel.checkpoint()

    async with services(cluster.new_database(), registry, 1) as (service,):
        accepted = list[str]()
        await trio.to_thread.run_sync(disk.fill)
        with trio.fail_after(SECONDS):
            while service.store.trouble is None:
                with suppress(StoreUnavailable):
                    job = await service.queue.submit("email", secrets.token_hex(5_000))
                    accepted.append(job.id)
        assert [event.event for event in service.events if isinstance(event, StoreFailing)]
        with pytest.raises(StoreUnavailable):
            await service.queue.submit("email", "too early")
        await trio.to_thread.run_sync(disk.free)
        with trio.fail_after(SECONDS):
            while service.store.trouble is not None:
                await trio.sleep(0.05)
        assert [event.event for event in service.events if isinstance(event, StoreRecovered)]
        job = await service.queue.submit("email", "at last")
        for job_id in (*accepted, job.id):
            assert (await service.ended(job_id)).status == "completed"
