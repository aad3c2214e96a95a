"""What becomes of a job, from its submission to its end, and what is said of it and the workers."""

from typing import Any

import pytest
import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, result_of, run_one, running

Autojump = trio.testing.MockClock


async def test_a_job_runs_and_its_result_is_kept(registry: Registry, make_rig: MakeRig) -> None:
    """A submitted job is run by a worker, and its detail tells the result."""

    @registry.job("double")
    async def double(number: int) -> int:
        return 2 * number

    rig = make_rig()
    await rig.start()
    detail = await run_one(rig, "double", 21)

    assert (detail.status, result_of(detail)) == ("completed", 42)
    assert rig.record.names(detail.id) == [
        "job_created",
        "job_enqueued",
        "job_started",
        "job_completed",
    ]


def lines_of(rig: Rig, job_id: str) -> list[dict[str, Any]]:
    """The lines of one job, without what is the same or different in all of them."""
    lines = [line for line in rig.lines if line.get("job_id") == job_id]
    for line in lines:
        timestamp = line.pop("timestamp")
        assert (len(timestamp), timestamp[-1]) == (len("2026-01-31T12:00:00.000001Z"), "Z")
        assert line.pop("job_type") == "job"
        assert line.pop("job_id") == job_id
    return lines


AT_WORK = {"worker_id": "worker-1", "attempt": 1}
STARTED: list[dict[str, Any]] = [
    {"level": "info", "event": "job_created"},
    {"level": "info", "event": "job_enqueued"},
    {"level": "info", "event": "job_started", **AT_WORK, "wait_seconds": 0.0},
]
RAN = {**AT_WORK, "run_seconds": 5.0}
NO_LUCK = {"error": "ValueError: no luck"}
RETRIED: list[dict[str, Any]] = [
    {"level": "warning", "event": "job_retried", **RAN, **NO_LUCK, "retry_in_seconds": 8.0},
    {"level": "info", "event": "job_enqueued", "attempt": 2},
    {
        "level": "info",
        "event": "job_started",
        "worker_id": "worker-1",
        "attempt": 2,
        "wait_seconds": 0.0,
    },
]
LIVES: dict[str, list[dict[str, Any]]] = {
    "completes": [*STARTED, {"level": "info", "event": "job_completed", **RAN}],
    "fails": [*STARTED, {"level": "error", "event": "job_failed", **RAN, **NO_LUCK}],
    "retries": [
        *STARTED,
        *RETRIED,
        {"level": "info", "event": "job_completed", **RAN, "attempt": 2},
    ],
    "cancelled": [
        *STARTED,
        {"level": "info", "event": "job_cancelled", "reason": "too dear", **AT_WORK}
        | {"run_seconds": 3.0},
    ],
    "abandoned": [
        *STARTED,
        {"level": "error", "event": "job_abandoned", "reason": "second_signal", **AT_WORK}
        | {"run_seconds": 3.0},
    ],
}


@pytest.mark.parametrize("life", LIVES)
async def test_each_life_of_a_job_has_exactly_its_lines(
    life: str, registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Every line has the fields of the table, no more and no fewer, and the values it should."""

    @registry.job("job", retry=Retry(base_seconds=8, jitter=0, max_retries=int(life == "retries")))
    async def job(context: JobContext) -> None:
        await trio.sleep(5)
        if life == "fails" or (life == "retries" and context.attempt == 1):
            raise ValueError("no luck")

    rig = make_rig(workers=1)
    await rig.start()
    submitted = await rig.queue.submit("job")
    await trio.sleep(3)
    if life == "cancelled":
        await rig.queue.cancel(submitted.id, "too dear")
    elif life == "abandoned":
        rig.engine.stop("second_signal")
    await trio.sleep(100)

    lines = lines_of(rig, submitted.id)
    if life == "fails":
        assert lines[-1].pop("traceback").endswith("ValueError: no luck\n")
    assert lines == LIVES[life]


async def test_workers_say_when_they_start_and_stop(registry: Registry) -> None:
    """Each once, by its own name, with the number of the jobs it has run."""

    @registry.job("works")
    async def works() -> None: ...

    async with running(registry, workers=3) as rig:
        for _ in range(7):
            await rig.queue.submit("works")
        assert rig.snapshot().workers_running == 3

    lines = [line for line in rig.lines if line["event"].startswith("worker_")]
    for line in lines:
        del line["timestamp"]
    workers = ["worker-1", "worker-2", "worker-3"]
    assert lines[:3] == [
        {"level": "info", "event": "worker_started", "worker_id": worker} for worker in workers
    ]
    assert sum(line.pop("jobs_run") for line in lines[3:]) == 7
    assert sorted(lines[3:], key=lambda line: str(line["worker_id"])) == [
        {"level": "info", "event": "worker_stopped", "worker_id": worker, "reason": "drained"}
        for worker in workers
    ]


async def test_two_engines_in_one_run_share_nothing() -> None:
    """Each has its own jobs, workers, log and metrics, and the end of one is not the other's."""
    registries = Registry(), Registry()

    @registries[0].job("job")
    async def first(job: JobContext) -> str:
        job.log.info("spoken", by="first")
        return "first"

    @registries[1].job("job")
    async def second(job: JobContext) -> str:
        job.log.info("spoken", by="second")
        return "second"

    async with running(registries[1], workers=1) as other:
        async with running(registries[0], workers=1) as one:
            ours = await run_one(one, "job")
            theirs = await run_one(other, "job")
        last = await run_one(other, "job")

    assert [result_of(detail) for detail in (ours, theirs, last)] == ["first", "second", "second"]
    assert (one.snapshot().jobs_created, other.snapshot().jobs_created) == (1, 2)
    assert [line["by"] for line in one.lines if line["event"] == "spoken"] == ["first"]
    assert [line["by"] for line in other.lines if line["event"] == "spoken"] == ["second"] * 2
    assert one.record.names(theirs.id) == other.record.names(ours.id) == []
