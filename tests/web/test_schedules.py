"""`GET /schedules`: what runs by itself, and when."""

import trio

from job_service.jobs.registration.registry import Registry
from tests.web.conftest import MakeApi


async def test_schedules_tell_when_they_run_and_what_came_of_it(
    autojump_clock: trio.abc.Clock, make_api: MakeApi, registry: Registry
) -> None:
    """Before the start, and after the first tick."""

    @registry.cron("0 3 * * *", tz="Europe/Berlin")
    async def nightly() -> None: ...

    @registry.every(30)
    async def refresh() -> None: ...

    api = make_api()
    cron = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
    assert (await api.ask("/schedules")).json == [
        {"schedule": "nightly", "type": "nightly", **cron, "skipped": 0},
        {"schedule": "refresh", "type": "refresh", "every_seconds": 30, "skipped": 0},
    ]
    await api.rig.start()
    await trio.sleep(31)
    nightly_view, refresh_view = (await api.ask("/schedules")).json
    assert nightly_view["next_run_at"]
    (job_id,) = await api.listed()
    assert refresh_view["last_job_id"] == job_id
    job = await api.read_job(job_id)
    assert job["schedule"] == "refresh"
    assert refresh_view["last_run_at"] == job["created_at"]
    assert (await api.ask("/schedules")).headers["Cache-Control"] == "no-store"
    api.rig.engine.stop("requested")
