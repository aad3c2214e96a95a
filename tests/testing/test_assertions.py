"""An assertion that fails tells what became of the job, so that nobody has to look for it."""

import msgspec
import pytest

from job_service import Discard, JobContext, Registry, Retry
from job_service.testing import assert_completed, assert_failed, run_sync, waits


class Receipt(msgspec.Struct):
    """A result."""

    euros: float


@pytest.fixture
def registry() -> Registry:
    """One that succeeds at last, and one that fails."""
    registry = Registry()

    @registry.job("charge", retry=Retry(base_seconds=60))
    async def charge(euros: float, job: JobContext) -> Receipt:
        if job.attempt < 3:
            raise ConnectionError("the bank is closed")
        return Receipt(euros)

    @registry.job("refuse")
    async def refuse() -> None:
        raise Discard("there is nothing to charge")

    return registry


def test_a_result_is_compared_as_json(registry: Registry) -> None:
    """A Struct equals the object that it becomes, and the decoded result is given back."""
    job = run_sync(registry, "charge", 9.5)
    assert assert_completed(job) == {"euros": 9.5}
    assert assert_completed(job, Receipt(9.5)) == {"euros": 9.5}
    assert waits(job) == [60, 120]
    with pytest.raises(AssertionError, match=r"its result is \{'euros': 9.5\}, and not None\."):
        assert_completed(job, None)


def test_a_job_that_should_have_completed_tells_its_story(registry: Registry) -> None:
    """The payload, each attempt, and the traceback of the last one."""
    job = run_sync(registry, "charge", 9.5, max_retries=1)
    with pytest.raises(AssertionError) as caught:
        assert_completed(job)
    told = str(caught.value).splitlines()
    assert told[0] == f"it is failed, and not completed. The job charge {job.id}: failed"
    assert told[1] == "  payload: 9.5"
    error = "ConnectionError: the bank is closed"
    assert told[2] == f"  attempt 1 at 2026-01-01 00:00:00: failed after 0 s: {error}"
    assert told[3] == f"  attempt 2 at 2026-01-01 00:01:00: failed after 0 s: {error}"
    assert told[4] == "Traceback (most recent call last):"
    assert told[-1] == error


def test_a_job_that_should_have_failed_tells_its_story(registry: Registry) -> None:
    """Also if it has failed for another reason."""
    failed = run_sync(registry, "refuse")
    assert assert_failed(failed, "nothing to charge").startswith("Discard: ")
    with pytest.raises(AssertionError, match="its error is not 'bank'"):
        assert_failed(failed, "bank")
    with pytest.raises(AssertionError, match="it is completed, and has not failed"):
        assert_failed(run_sync(registry, "charge", 9.5))
