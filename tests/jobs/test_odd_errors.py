"""However broken an error is, something is told of it, and only its own job ends."""

import outcome
import pytest

from job_service.failures.report import describe, format_traceback
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.running.hints import explain
from tests.jobs.steps import running
from tests.odd_errors import ODD, logs, raises, raises_on_the_loop

ONCE = Retry(max_retries=0)


@pytest.mark.parametrize("which", ODD)
def test_no_error_is_too_odd_to_be_told(which: str) -> None:
    """At the least its type is, and where it came from."""
    raised = outcome.capture(raises, which)
    assert type(raised) is outcome.Error
    error = raised.error
    name = type.__dict__["__name__"].__get__(type(error))
    assert name in explain(error, describe(error))
    assert "raise make_odd(which)" in format_traceback(error)


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_the_next_job_runs_whatever_was_raised(where: str, registry: Registry) -> None:
    """On the loop and in a thread."""
    registry.job("raises", retry=ONCE)(raises if where == "thread" else raises_on_the_loop)
    registry.job("works")(lambda: None)
    async with running(registry, workers=1) as rig:
        odd = [await rig.queue.submit("raises", which) for which in ODD]
        after = await rig.queue.submit("works")
    assert {(await rig.queue.get(job.id)).status for job in odd} == {"failed"}
    assert all([(await rig.queue.get(job.id)).error for job in odd])
    assert (await rig.queue.get(after.id)).status == "completed"


@pytest.mark.slow
async def test_the_next_job_runs_whatever_was_raised_in_a_process(registry: Registry) -> None:
    """What can't be brought back as it is comes as another error."""
    registry.job("raises", retry=ONCE, runs_in="process")(raises)
    async with running(registry, workers=1) as rig:
        odd = [await rig.queue.submit("raises", which) for which in ODD]
    assert {(await rig.queue.get(job.id)).status for job in odd} == {"failed"}


async def test_no_error_is_too_odd_to_be_logged(registry: Registry) -> None:
    """`job.log.exception` is of use in all cases."""
    registry.job("logs", retry=ONCE)(logs)
    async with running(registry, workers=1) as rig:
        odd = [await rig.queue.submit("logs", which) for which in ODD]
    lines = [line for line in rig.lines if line["event"] == "odd"]
    assert len(lines) == len(odd)
    untold = [line for line in lines if "raise make_odd(which)" not in line["traceback"]]
    assert untold == []
    assert {(await rig.queue.get(job.id)).status for job in odd} == {"completed"}
