"""How long the queue takes to empty is told by all processes together, whichever is asked."""

import pytest
import trio

from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.views import TypeQueue
from job_service.stores.postgres import pace
from tests.stores.postgres.service import Service, services


async def of_type(service: Service, job_type: str) -> TypeQueue:
    """What one process tells of this type."""
    (found,) = [each for each in (await service.queue.view()).types if each.type == job_type]
    return found


async def test_the_pace_is_that_of_all_processes(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has just started says so, too, and what one does no more counts no more."""
    monkeypatch.setattr(pace, "TOLD_EVERY_SECONDS", 0.02)
    registry = Registry()

    @registry.job("email")
    async def email() -> None:
        pass

    async with services(database, registry, 2) as (first, second):
        await first.queue.pause()
        drafts = [first.queue.check("email")] * 6
        await first.queue.submit_all(drafts)
        assert (await of_type(second, "email")).seconds_to_empty is None
        first.pace, second.pace = {"email": 1.0}, {"email": 2.0}
        for service in (first, second):
            while (await of_type(service, "email")).seconds_to_empty != 2:
                await trio.sleep(0.01)
        first.pace = {}
        while (await of_type(second, "email")).seconds_to_empty != 3:
            await trio.sleep(0.01)
        await second.queue.cancel_all("email")
        await first.queue.resume()
