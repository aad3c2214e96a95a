"""Runs one job of a registry, retries and all, in virtual time."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Unpack

import trio
from msgspec import UNSET
from trio.testing import MockClock

from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail
from job_service.testing.stage import alone
from job_service.testing.ungrouped import ungrouped
from job_service.testing.virtual_service import LONGEST, START, virtual_service


async def run(
    registry: Registry,
    job_type: str,
    payload: object = UNSET,
    *,
    resources: Mapping[str, Any] | None = None,
    start: datetime = START,
    within: timedelta = LONGEST,
    scheduled_for: datetime | None = None,
    **options: Unpack[JobOptions],
) -> JobDetail:
    """Run one job until it has ended, with all its retries, and give all there is to know of it.

    A failed job is no error here: look at its `status`, `attempts` and `result`. `resources` are
    fakes, by the names of the resources that they replace. Of the others, only those are opened
    that the handler takes. No schedule ticks; `scheduled_for` is the tick that the job is told it
    was made for. All else is as with `virtual_service`.

    Raises UnknownJobType, InvalidPayload or InvalidOption; AssertionError if the job has not ended
    `within` so much virtual time; and what `virtual_service` raises.
    """
    __tracebackhide__ = True
    stage = alone(registry, job_type, resources or {})
    async with virtual_service(stage, start=start) as service:
        return await service.run(
            job_type, payload, within=within, scheduled_for=scheduled_for, **options
        )


def run_sync(
    registry: Registry,
    job_type: str,
    payload: object = UNSET,
    *,
    resources: Mapping[str, Any] | None = None,
    start: datetime = START,
    within: timedelta = LONGEST,
    scheduled_for: datetime | None = None,
    **options: Unpack[JobOptions],
) -> JobDetail:
    """What `run` does, for a test that is a plain `def`: it runs Trio itself."""
    __tracebackhide__ = True
    one_job = partial(run, registry, job_type, payload, scheduled_for=scheduled_for, **options)
    with ungrouped():
        return trio.run(
            partial(one_job, resources=resources, start=start, within=within), clock=MockClock()
        )
