"""What jobs may take in bytes: those that wait or run, and those that are kept."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from job_service.errors import BatchTooLarge, QueueFull, UnknownJob
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.conftest import Rig

MakeRig = Callable[..., Rig]

KIB = "x" * 1_024


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("length")
    async def length(text: str) -> int:
        return len(text)

    @registry.job("echo")
    async def echo(payload: object) -> object:
        return payload

    @registry.job("times")
    async def times(count: int) -> str:
        return "x" * count

    @registry.job("fails", retry=Retry(max_retries=3, base_seconds=0))
    async def fails(text: str) -> None:
        raise ValueError(text)


async def run(rig: Rig, job_type: str, payload: object) -> str:
    """Run one job to its end."""
    job = await rig.queue.submit(job_type, payload)
    await rig.queue.wait(job.id, 60)
    return job.id


async def kept(rig: Rig) -> list[str]:
    """The ids of all jobs, the oldest first."""
    return [job.id for job in await rig.queue.list(limit=1_000)]


async def test_finished_jobs_are_kept_as_long_as_their_bytes_allow(
    make_rig: MakeRig, autojump_clock: trio.abc.Clock
) -> None:
    """The oldest go first, and small ones count little."""
    rig = make_rig(retain_bytes=10_000)
    await rig.start()
    ids = [await run(rig, "length", KIB) for _ in range(20)]
    assert await kept(rig) == ids[-len(await kept(rig)) :]
    assert 4 <= len(await kept(rig)) < 10
    assert rig.engine.jobs_bytes <= 10_000


@pytest.mark.parametrize("job_type", ["length", "echo", "fails"])
async def test_all_that_a_job_leaves_counts(
    make_rig: MakeRig, autojump_clock: trio.abc.Clock, job_type: str
) -> None:
    """Its payload, its result, and the errors of all its attempts."""
    rig = make_rig()
    await rig.start()
    detail = await rig.queue.get(await run(rig, job_type, KIB[:500]))  # no error is cut short
    texts = [text for attempt in detail.attempts for text in (attempt.error, attempt.traceback)]
    least = len(bytes(detail.payload)) + len(bytes(detail.result or b""))
    least += sum(len(text) for text in texts if text is not None)
    assert least <= rig.engine.jobs_bytes <= least + 500 * len(detail.attempts)


async def test_a_result_larger_than_all_that_may_be_kept_makes_no_other_go(
    make_rig: MakeRig, autojump_clock: trio.abc.Clock
) -> None:
    """It is told to those who wait for it, and forgotten."""
    rig = make_rig(retain_bytes=10_000)
    await rig.start()
    small = await run(rig, "length", "")
    job = await rig.queue.submit("times", 20_000, delay_seconds=1)
    detail = await rig.queue.wait(job.id, 60)
    assert detail.status == "completed"
    assert len(bytes(detail.result or b"")) == 20_002
    with pytest.raises(UnknownJob):
        await rig.queue.get(job.id)
    assert await kept(rig) == [small]


async def test_the_queue_is_full_when_its_bytes_are_used_up(
    make_rig: MakeRig, autojump_clock: trio.abc.Clock
) -> None:
    """As with its places: refused, counted, said once; and said when there is room again."""
    rig = make_rig(queue_bytes=5_000)
    for _ in range(4):
        await rig.queue.submit("length", KIB)
    for _ in range(2):
        with pytest.raises(QueueFull, match="the queue is full: 896 of 5000 bytes are free"):
            await rig.queue.submit("length", KIB)
    await rig.queue.submit("length", "but a small one fits")
    assert rig.snapshot().jobs_rejected == 2
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    await run(rig, "length", KIB)
    edges = [line for line in rig.lines if line["event"] in ("queue_full", "queue_freed")]
    assert [line["event"] for line in edges] == ["queue_full", "queue_freed"]
    assert (edges[0]["queue_capacity"], edges[0]["queue_bytes"]) == (100, 5_000)
    assert edges[1]["jobs_rejected"] == 2


async def test_a_running_job_still_takes_its_bytes(make_rig: MakeRig, registry: Registry) -> None:
    """What has been submitted is bounded, however many workers there are."""

    @registry.job("waits")
    async def waits(text: str) -> None:
        await trio.sleep_forever()

    rig = make_rig(queue_bytes=3_000, workers=10)
    await rig.start()
    jobs = [await rig.queue.submit("waits", KIB) for _ in range(2)]
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(QueueFull):
        await rig.queue.submit("waits", KIB)
    await rig.queue.cancel(jobs[0].id)
    await rig.queue.wait(jobs[0].id, 60)
    await rig.queue.submit("waits", KIB)
    rig.engine.stop("done")


async def test_what_a_job_comes_after_takes_bytes_too(
    make_rig: MakeRig, autojump_clock: trio.abc.Clock
) -> None:
    """A thousand ids are as long as a payload."""
    rig = make_rig(queue_bytes=10_000)
    first = [(await rig.queue.submit("length", "")).id for _ in range(80)]
    await rig.queue.submit("length", "", after=first)
    with pytest.raises(QueueFull):
        await rig.queue.submit("length", "", after=first)


async def test_a_batch_fits_whole_or_not_at_all(make_rig: MakeRig) -> None:
    """One that would never fit is told apart from one that may fit later."""
    rig = make_rig(queue_bytes=5_000)
    drafts: list[Any] = [rig.queue.check("length", KIB) for _ in range(5)]
    with pytest.raises(BatchTooLarge, match="5130 bytes never fit: the queue has room for 5000"):
        await rig.queue.submit_all(drafts)
    await rig.queue.submit_all(drafts[:3])
    with pytest.raises(QueueFull, match="1922 of 5000 bytes are free, not 2052"):
        await rig.queue.submit_all(drafts[:2])
    assert len(await kept(rig)) == 3
