"""What a handler raises in a thread or in a process counts as it would on the loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import trio

from job_service import Registry, Retry
from job_service.jobs.state.detail import JobDetail
from job_service.telemetry.events import JobRetried, JobSnoozed
from tests.jobs import process_handlers as handlers
from tests.jobs.steps import MakeRig, endings, running

Where = Literal["thread", "process"]
Handler = Callable[..., Any]

SECONDS = 30.0

WORTH_A_RETRY = Retry(
    max_retries=1,
    base_seconds=0,
    retry_on=(OSError, handlers.Picky),
    give_up_on=FileNotFoundError,
)

in_both = pytest.mark.parametrize("where", ["thread", "process"])


def register(registry: Registry, where: Where, *all_handlers: Handler, retry: Retry) -> None:
    """Each under its own name."""
    for handler in all_handlers:
        registry.job(handler.__name__, runs_in=where, retry=retry)(handler)


async def run(
    registry: Registry, all_handlers: list[Handler], payload: Callable[[Handler], object]
) -> list[JobDetail]:
    """The details of a job of each, run one after the other by one worker."""
    async with running(registry, workers=1) as rig:
        jobs = [await rig.queue.submit(each.__name__, payload(each)) for each in all_handlers]
        details = [await rig.queue.wait(job.id, SECONDS) for job in jobs]
    for detail in details:
        assert len(endings(rig, detail.id)) == 1
    return details


@in_both
async def test_a_discard_fails_its_job_at_once(where: Where, registry: Registry) -> None:
    """Whatever it is made of, and whatever led to it; its words are in the detail."""
    words = {
        handlers.discards: "Discard: no such customer",
        handlers.discards_in_its_own_words: "NoCustomer: customer 7: moved away",
        handlers.discards_in_a_group: "Discard: no such customer",
        handlers.discards_because_of: "Discard: no such customer",
        handlers.discards_unreadably: "Discard: ",
    }
    register(registry, where, *words, retry=Retry(max_retries=5, base_seconds=0))
    for detail in await run(registry, list(words), lambda _: None):
        assert (detail.status, detail.attempt) == ("failed", 1), detail.type
        assert words[getattr(handlers, detail.type)] in str(detail.error)


@pytest.mark.slow
@in_both
async def test_a_snooze_brings_its_job_back(
    where: Where, registry: Registry, tmp_path: Path
) -> None:
    """Without the cost of a retry, whatever it is made of, and whatever led to it."""
    snoozing: list[Handler] = [
        handlers.snoozes,
        handlers.snoozes_in_a_group,
        handlers.snoozes_because_of,
        handlers.snoozes_unreadably,
    ]
    register(registry, where, *snoozing, retry=Retry(max_retries=0))
    async with running(registry, workers=1) as rig:
        for handler in snoozing:
            mark = str(tmp_path / handler.__name__)
            job = await rig.queue.submit(handler.__name__, mark)
            detail = await rig.queue.wait(job.id, SECONDS)
            outcome = detail.type, detail.status, detail.snoozes, detail.attempt
            assert outcome == (handler.__name__, "completed", 1, 2)
    assert [event.snooze_seconds for event in rig.record.of(JobSnoozed)] == [0.01] * 4


@in_both
async def test_only_some_errors_are_worth_a_retry(where: Where, registry: Registry) -> None:
    """They keep their types on the way, also where what led to them can't come along."""
    tries = {
        handlers.is_busy: 2,
        handlers.raises_picky: 2,
        handlers.fails_because_of: 2,
        handlers.fails_because_of_in_a_group: 2,
        handlers.misses_a_file: 1,
        handlers.raises: 1,
        handlers.raises_unreadable: 1,
    }
    register(registry, where, *tries, retry=WORTH_A_RETRY)
    details = await run(registry, list(tries), lambda _: None)
    assert {detail.type: detail.attempt for detail in details} == {
        handler.__name__: attempts for handler, attempts in tries.items()
    }
    assert {detail.status for detail in details} == {"failed"}


@pytest.mark.slow
@in_both
async def test_an_error_may_say_how_long_to_wait(
    where: Where, registry: Registry, make_rig: MakeRig
) -> None:
    """What it carries is there for `backoff` to read."""

    def as_told(_: int, error: BaseException) -> float:
        assert isinstance(error, handlers.Busy)
        return error.seconds

    register(registry, where, handlers.is_busy, retry=Retry(backoff=as_told))
    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("is_busy")
    with trio.fail_after(SECONDS):
        while not rig.record.of(JobRetried):
            await trio.sleep(0.01)
    assert rig.record.of(JobRetried)[0].retry_in_seconds == 7.5
    await rig.queue.cancel(job.id)
    rig.engine.stop("enough")


@pytest.mark.slow
@in_both
@pytest.mark.parametrize("give", [-1.0, float("-inf"), float("nan"), "soon", GeneratorExit()])
async def test_a_backoff_of_nonsense_harms_nothing(
    give: Any, where: Where, registry: Registry
) -> None:
    """The job is tried again, and the next one, too."""

    def backoff(retry: int, error: BaseException) -> Any:
        if isinstance(give, BaseException):
            raise give
        return give

    retry = Retry(max_retries=2, base_seconds=0, backoff=backoff)
    register(registry, where, handlers.raises, retry=retry)
    for detail in await run(registry, [handlers.raises] * 2, lambda _: None):
        assert (detail.status, detail.attempt) == ("failed", 3)
