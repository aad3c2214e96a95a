"""A job that somebody wrote into the tables by hand, and wrongly, is in nobody's way."""

import psycopg
import pytest
import trio

from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import JobMisfit
from tests.stores.postgres.service import services


@pytest.mark.parametrize("rate", [None, Rate(1_000, per_seconds=1)])
async def test_a_job_that_can_t_be_read_is_told_and_left(database: str, rate: Rate | None) -> None:
    """Each process says so once and goes on; when the job can be read, it runs."""
    registry = Registry()

    @registry.job("email", rate=rate)
    async def email(to: str) -> str:
        await trio.lowlevel.checkpoint()
        return to

    async with services(database, registry) as nodes:
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT job_service.submit('email', '\"ada\"')").fetchone()
            assert row is not None
            (job_id,) = row
            change = "UPDATE job_service.jobs SET record = replace(record, %s, %s) WHERE id = %s"
            connection.execute(change, ["max_retries", "retries", job_id])
            connection.commit()
            for node in nodes:
                with trio.fail_after(30):
                    while not node.said(JobMisfit):
                        await trio.sleep(0.01)
            for node in nodes:
                job = await node.queue.submit("email", "bob")
                assert (await node.ended(job.id)).status == "completed"
                assert node.said(JobMisfit) == [job_id]
            connection.execute(change, ['"retries"', '"max_retries"', job_id])
            connection.commit()
        assert (await nodes[0].ended(job_id)).status == "completed"
