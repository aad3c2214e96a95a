"""Job types to be watched: one stays half done, one fails with markup, one blocks the loop."""

import time
from typing import Any

import trio

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry

MARKUP = "<img src=/nowhere onerror=alert(1)>"

registry = Registry()


@registry.job("import")
async def import_rows(job: JobContext) -> None:
    """Has come to 30 of 120, and no further."""
    job.log.info("file_opened", rows=120, name="orders.csv")
    job.progress(30, 120, "reading rows")
    await trio.sleep_forever()


@registry.job("markup", retry=Retry(max_retries=0))
async def markup(payload: Any) -> None:
    """Fails with an error that is HTML."""
    raise ValueError(MARKUP)


@registry.job("payments.charge_the_card_of_a_customer", retry=Retry(max_retries=0))
async def charge(job: JobContext, payload: Any) -> None:
    """Fails with a long error, of which a part has no place to break a line."""
    url = f"https://payments.example.com/v1/charges/{'ch3NqVJ2eZvKYlo2C1x8' * 10}"
    job.log.info("asking_the_gateway", url=url)
    raise ConnectionError(f"HTTPSConnectionPool(port=443): max retries exceeded with {url}")


@registry.job("export", rate=Rate(1, per_seconds=600), per=lambda payload: payload["tenant"])
async def export(payload: dict[str, str]) -> None:
    """May run only now and then, for each tenant."""


@registry.job("blocking")
async def blocking(seconds: float) -> None:
    """Holds up the event loop."""
    time.sleep(seconds)  # noqa: ASYNC251  # which is the point


@registry.job("payroll", sensitive=True)
async def pay(payload: Any) -> Any:
    """Keeps a secret."""
    return payload


@registry.cron("0 3 1 1 *", tz="UTC")
async def yearly() -> None:
    """Does not run while anybody tests."""
