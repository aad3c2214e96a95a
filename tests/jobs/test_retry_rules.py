"""A job type says which errors are worth a retry, and may say itself how long to wait."""

import math
import random
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Registry, Retry
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.telemetry.events import JobRetried
from tests.jobs.steps import MakeRig, run_one

ONLY = Retry(retry_on=(OSError, TimeoutError), give_up_on=FileNotFoundError)


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (ConnectionError(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
        (ExceptionGroup("g", [OSError(), ExceptionGroup("h", [TimeoutError()])]), True),
        (ExceptionGroup("g", [OSError(), ValueError()]), False),
        (ExceptionGroup("g", [OSError(), FileNotFoundError()]), False),
    ],
)
async def test_only_some_errors_are_worth_a_retry(
    error: Exception, worth: bool, registry: Registry, make_rig: MakeRig
) -> None:
    """One that is not fails the job at once, with its own error; of a group, each counts."""

    @registry.job("raises", retry=ONLY)
    async def raises() -> None:
        raise error

    rig = make_rig()
    await rig.start()
    detail = await run_one(rig, "raises")
    assert detail.status == ("pending" if worth else "failed")
    assert type(error).__name__ in str(detail.error)


@pytest.mark.parametrize("given_up", [True, False])
async def test_a_timeout_is_a_timeout_error(
    given_up: bool, registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """The rules can name it."""
    rule = Retry(give_up_on=TimeoutError) if given_up else Retry(retry_on=TimeoutError)

    @registry.job("slow", retry=rule, timeout=1)
    async def slow() -> None:
        await trio.sleep_forever()

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "slow")
    await trio.sleep(1.1)
    assert (await rig.queue.get(job.id)).status == ("failed" if given_up else "pending")


@pytest.mark.parametrize(
    ("given", "waited"),
    [
        *((7, 7), (-1, 0), (-math.inf, 0), (5e-324, 0)),
        *((number, LONGEST_WAIT_SECONDS) for number in (1e99, math.inf, 10**400)),
    ],
)
async def test_backoff_takes_the_place_of_the_formula(
    given: float, waited: float, registry: Registry, make_rig: MakeRig
) -> None:
    """It knows the retry and the error, and what it gives is bounded, and not jittered."""
    heard: list[tuple[int, str]] = []

    def backoff(retry: int, error: BaseException) -> float:
        heard.append((retry, str(error)))
        return given

    @registry.job("raises", retry=Retry(max_retries=1, backoff=backoff))
    async def raises() -> None:
        raise ValueError("no")

    rig = make_rig()
    await rig.start()
    await run_one(rig, "raises")
    assert heard[0] == (1, "no")
    assert rig.record.of(JobRetried)[0].retry_in_seconds == waited


@pytest.mark.parametrize(
    "value", ["5", None, True, 1j, math.nan, ZeroDivisionError("oh"), SystemExit(3)]
)
async def test_a_broken_backoff_loses_no_job(
    value: Any, registry: Registry, make_rig: MakeRig
) -> None:
    """The formula decides in its place, and the error says so at its end."""

    def backoff(retry: int, error: BaseException) -> float:
        if isinstance(value, BaseException):
            raise value
        return value  # type: ignore[no-any-return]

    @registry.job("raises", retry=Retry(base_seconds=8, jitter=0, backoff=backoff))
    async def raises() -> None:
        raise ValueError("no")

    rig = make_rig()
    await rig.start()
    await run_one(rig, "raises")
    (retried,) = rig.record.of(JobRetried)
    assert retried.retry_in_seconds == 8
    assert retried.error.startswith("ValueError: no; backoff failed: ")


@pytest.mark.parametrize("setting", ["retry_on", "give_up_on"])
@pytest.mark.parametrize("value", [int, "OSError", [OSError], (OSError, 1), OSError()])
def test_what_is_no_exception_type_is_refused(setting: str, value: Any) -> None:
    """Where it is written, and not at the first failure."""
    with pytest.raises(TypeError, match=f"^{setting} must be an exception type"):
        Retry(**{setting: value})


def test_a_backoff_that_can_not_be_called_is_refused() -> None:
    """Nor one that would have to be awaited."""

    async def later(retry: int, error: BaseException) -> float:
        return 1

    for value in (5, later):
        with pytest.raises(TypeError, match="backoff must be a plain function"):
            Retry(backoff=value)  # type: ignore[arg-type]


def test_without_rules_all_is_as_before() -> None:
    """Everything is worth a retry, after what the formula says."""
    assert Retry().is_worth(SystemExit(3))
    assert Retry(jitter=0).delay_after(ValueError(), 3, random.Random(0)) == (4, None)
