"""What a handler writes with `job.log` belongs to its job: it is in the story and in the stream."""

import threading
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service import AttemptLog, JobContext, JobDetail, Registry, Retry
from job_service.telemetry.events import JobLogged
from tests.jobs.steps import MakeRig, run_one, running

ONCE = Retry(max_retries=0)


def log_of(job: JobDetail, attempt: int = 1) -> AttemptLog:
    """What is kept of what an attempt wrote."""
    log = job.attempts[attempt - 1].log
    assert log is not None
    return log


def shown(log: AttemptLog) -> list[tuple[str, str, Any]]:
    """The lines that are kept, each with its level, its event and its fields."""
    lines = msgspec.json.decode(msgspec.json.encode([*log.first, *log.last]))
    return [(line["level"], line["event"], line.get("fields")) for line in lines]


def plain(job: JobContext) -> None:
    """Writes in a thread."""
    say(job)


async def asynchronous(job: JobContext) -> None:
    """Writes on the loop."""
    say(job)


def say(job: JobContext) -> None:
    """A few lines, of all kinds."""
    job.log.debug("too_fine_for_the_log")
    job.log.info("began", size=3, path={"to": ["a", 1.5]})
    job.log.bind(part="second").warning("%d left", 2)
    try:
        raise ValueError("no")
    except ValueError:
        job.log.exception("failed")


@pytest.mark.parametrize("handler", [plain, asynchronous])
async def test_the_lines_of_a_handler_are_in_its_story(handler: Any, registry: Registry) -> None:
    """As it wrote them, from the loop and from a thread, and in the log as well."""
    registry.job("says")(handler)
    async with running(registry) as rig:
        job = await rig.queue.submit("says")
        detail = await rig.queue.wait(job.id, 60)
    first, second, third = shown(log_of(detail))
    assert first == ("info", "began", {"size": 3, "path": {"to": ["a", 1.5]}})
    assert second == ("warning", "2 left", {"part": "second"})
    assert third[:2] == ("error", "failed")
    assert third[2]["traceback"].endswith("ValueError: no\n")
    lines = [line for line in rig.lines if line.get("job_id") == job.id and "attempt" in line]
    written = [line["event"] for line in lines if not line["event"].startswith("job_")]
    assert written == ["began", "2 left", "failed"]


async def test_the_stream_has_the_lines_and_the_log_has_them_once(registry: Registry) -> None:
    """An event for each, which is none of the log's own."""
    registry.job("says")(asynchronous)
    async with running(registry) as rig:
        job = await run_one(rig, "says")
    began, left, _ = rig.record.of(JobLogged)
    assert (began.level, began.message, bytes(began.fields)) == (  # type: ignore[arg-type]  # set
        "info",
        "began",
        b'{"size":3,"path":{"to":["a",1.5]}}',
    )
    assert (left.job_id, left.job_type, left.worker_id, left.attempt) == (
        job.id,
        "says",
        "worker-1",
        1,
    )
    assert "job_logged" not in {line["event"] for line in rig.lines}


async def test_a_job_that_writes_much_keeps_the_beginning_and_the_end(registry: Registry) -> None:
    """Fifty lines of each, and how many are missing in between."""

    @registry.job("chatty")
    def chatty(job: JobContext) -> None:
        for n in range(1_000):
            job.log.info("step", n=n)

    async with running(registry) as rig:
        job = await rig.queue.submit("chatty")
        log = log_of(await rig.queue.wait(job.id, 60))
    kept = [fields["n"] for _, _, fields in shown(log)]
    assert kept == [*range(50), *range(950, 1_000)]
    assert (len(log.first), log.missing, len(log.last)) == (50, 900, 50)
    assert len(rig.record.of(JobLogged)) < 1_000
    assert len([line for line in rig.lines if line["event"] == "step"]) == 1_000


async def test_long_lines_are_cut_and_do_not_take_more_room(registry: Registry) -> None:
    """Of a line 2,000 characters at most, and again of its fields; they weigh what they do."""

    @registry.job("wordy")
    async def wordy(job: JobContext) -> None:
        job.log.info("x" * 5_000)
        job.log.info("one", text="y" * 5_000, n=1)
        job.log.info("trace", text="first\n" + "z" * 5_000 + "\nlast")
        job.log.info("wide", **{f"field_{n}": "w" * 100 for n in range(100)})

    @registry.job("silent")
    async def silent() -> None: ...

    async with running(registry) as rig:
        await run_one(rig, "silent")
        before = rig.store.weight
        log = log_of(await run_one(rig, "wordy"))
        weight = rig.store.weight - before
        for _ in range(20):
            await run_one(rig, "wordy")
    lines = shown(log)
    assert lines[0][1] == "x" * 2_000
    assert lines[1][2] == {"text": "y" * 400 + "…", "n": "1"}
    assert lines[2][2]["text"].endswith("z\nlast")
    assert len(lines[3][2]) == 5
    kept = len(msgspec.json.encode(log))
    assert abs(weight - kept) < 1_000


async def test_each_attempt_has_its_own_lines_and_a_late_one_is_not_kept(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """What is written when the attempt is over is in the log, and that is all."""
    contexts: list[JobContext] = []

    @registry.job("twice", retry=Retry(base_seconds=1, max_retries=1))
    async def twice(job: JobContext) -> None:
        contexts.append(job)
        job.log.info("begins", attempt_number=job.attempt)
        if job.attempt == 1:
            raise ValueError("no")
        contexts[0].log.info("late")

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "twice")
    await trio.sleep(5)
    detail = await rig.queue.get(job.id)
    assert [shown(log_of(detail, attempt)) for attempt in (1, 2)] == [
        [("info", "begins", {"attempt_number": 1})],
        [("info", "begins", {"attempt_number": 2})],
    ]
    assert "late" in [line["event"] for line in rig.lines]


async def test_of_a_thousand_retries_few_keep_their_lines(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """The first and the last three, as with tracebacks; the others say how many there were."""

    @registry.job("stubborn", retry=Retry(base_seconds=1, max_retries=9))
    async def stubborn(job: JobContext) -> None:
        job.log.info("tries")
        raise ValueError("no")

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "stubborn")
    detail = await rig.queue.wait(job.id, 10_000)
    logs = [log_of(detail, attempt) for attempt in range(1, 11)]
    assert [len(log.first) for log in logs] == [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    assert {log.missing for log in logs if not log.first} == {1}


async def test_lines_of_a_thread_that_was_let_go_harm_nobody(registry: Registry) -> None:
    """They are in the log, also when the engine has ended."""
    goes_on, has_written = threading.Event(), threading.Event()

    @registry.job("stuck", retry=ONCE)
    def stuck(job: JobContext) -> None:
        job.log.info("in_time")
        goes_on.wait()
        for n in range(300):
            job.log.info("late", n=n)
        has_written.set()

    async with running(registry) as rig:
        job = await rig.queue.submit("stuck")
        detail = await rig.queue.get(job.id)
        while not (detail.attempts and detail.attempts[0].log):
            await trio.sleep(0.001)
            detail = await rig.queue.get(job.id)
        await rig.queue.cancel(job.id)
        detail = await rig.queue.wait(job.id, 60)
        goes_on.set()
        while not has_written.is_set():
            await trio.sleep(0.001)
    assert [event for _, event, _ in shown(log_of(detail))] == ["in_time"]
    assert (await rig.queue.get(job.id)).attempts == detail.attempts
