"""What a handler may do: choose its parameters, return JSON, and log with its job's id."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service import JobContext, Registry, Retry
from tests.jobs.steps import MakeRig, endings, result_of, run_one, running

AT_ONCE = Retry(base_seconds=0)


class Letter(msgspec.Struct):
    """A payload."""

    to: str
    lines: list[str] = []


async def payload_only(letter: Letter) -> str:
    """The first of all permitted signatures."""
    return letter.to


async def context_only(job: JobContext) -> str:
    """It takes no payload."""
    return f"{job.type} {job.attempt}"


async def both(letter: Letter, job: JobContext) -> str:
    """The usual signature."""
    return f"{letter.to} {job.attempt}"


async def both_the_other_way_round(job: JobContext, letter: Letter) -> str:
    """The annotation counts, not the order."""
    return f"{letter.to} {job.attempt}"


async def by_keyword(*, letter: Letter, job: JobContext) -> str:
    """Keyword-only parameters."""
    return f"{letter.to} {job.attempt}"


async def neither() -> str:
    """It takes nothing."""
    return "nothing"


@pytest.mark.parametrize(
    ("handler", "payload", "result"),
    [
        (payload_only, {"to": "ann"}, "ann"),
        (context_only, None, "job 1"),
        (both, {"to": "ann"}, "ann 1"),
        (both_the_other_way_round, {"to": "ann"}, "ann 1"),
        (by_keyword, {"to": "ann"}, "ann 1"),
        (neither, None, "nothing"),
    ],
)
async def test_a_handler_gets_what_it_asks_for(
    handler: Callable[..., Any],
    payload: object,
    result: str,
    registry: Registry,
    make_rig: MakeRig,
) -> None:
    """Payload only, context only, both in any order, or neither."""
    registry.job("job")(handler)
    rig = make_rig()
    await rig.start()
    assert result_of(await run_one(rig, "job", payload)) == result


async def test_a_plain_function_runs_in_a_thread(registry: Registry) -> None:
    """`def` does not block the loop, `async def` runs on it, and both return their results."""

    @registry.job("plain")
    def plain(letter: Letter, job: JobContext) -> list[Any]:
        job.log.info("from_a_thread")
        return [letter.to, threading.get_ident()]

    @registry.job("coroutine")
    async def coroutine() -> int:
        return threading.get_ident()

    async with running(registry) as rig:
        in_thread = await rig.queue.submit("plain", Letter("ann"))
        on_loop = await rig.queue.submit("coroutine")

    to, thread = result_of(await rig.queue.get(in_thread.id))
    loop = result_of(await rig.queue.get(on_loop.id))
    assert (to, loop) == ("ann", threading.get_ident())
    assert thread != loop
    assert "from_a_thread" in [line["event"] for line in rig.lines]


class HalfMade(msgspec.Struct):
    """A result whose field was deleted."""

    field: int = 0


def half_made() -> HalfMade:
    """An object that can't be written, and says so with an AttributeError."""
    result = HalfMade()
    del result.field
    return result


def endless() -> list[Any]:
    """A list that holds itself."""
    result: list[Any] = []
    result.append(result)
    return result


@pytest.mark.parametrize(
    "make_result",
    [object, lambda: {(1, 2): 3}, lambda: {"a": {object()}}, endless, half_made],
    ids=["object", "tuple_as_key", "inner_object", "endless", "half_made"],
)
async def test_a_result_that_is_no_json_fails_at_once(
    make_result: Callable[[], object], registry: Registry, make_rig: MakeRig
) -> None:
    """Its work is done, so it is not repeated for the result's sake; the service goes on."""

    @registry.job("odd", retry=AT_ONCE)
    async def odd() -> object:
        return make_result()

    @registry.job("works")
    async def works() -> None: ...

    rig = make_rig(workers=1)
    await rig.start()
    detail = await run_one(rig, "odd")
    assert (detail.status, detail.attempt) == ("failed", 1)
    assert str(detail.error).startswith("the result can't be written as JSON: ")
    where = str(detail.attempts[0].traceback)
    assert "result.py" in where, "though a traceback begins with the handler where there is one"
    assert endings(rig, detail.id) == ["job_failed"]
    assert (await run_one(rig, "works")).status == "completed"


async def test_each_attempt_gets_the_payload_as_it_was_sent(
    registry: Registry, make_rig: MakeRig
) -> None:
    """No attempt sees what another did to its payload, or what the submitter did later."""

    @registry.job("mutates", retry=AT_ONCE)
    async def mutates(letter: Letter, job: JobContext) -> list[str]:
        letter.lines.append(f"attempt {job.attempt}")
        if job.attempt < 3:
            raise ValueError("not yet")
        return letter.lines

    rig = make_rig()
    await rig.start()
    letter = Letter("ann", ["dear ann"])
    job = await rig.queue.submit("mutates", letter)
    letter.lines.clear()
    await trio.testing.wait_all_tasks_blocked()

    detail = await rig.queue.get(job.id)
    assert result_of(detail) == ["dear ann", "attempt 3"]
    assert msgspec.json.decode(detail.payload) == {"to": "ann", "lines": ["dear ann"]}


async def test_the_handlers_log_says_who_is_speaking(registry: Registry, make_rig: MakeRig) -> None:
    """Its lines carry the job's id and type, the worker and the attempt; each attempt its own."""

    @registry.job("speaks", retry=AT_ONCE)
    async def speaks(job: JobContext) -> None:
        job.log.warning("spoken", mood="grave")
        if job.attempt == 1:
            raise ValueError("not yet")

    rig = make_rig(workers=1)
    await rig.start()
    job = await run_one(rig, "speaks")
    lines = [line for line in rig.lines if line["event"] == "spoken"]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    bound = {"job_id": job.id, "job_type": "speaks", "worker_id": "worker-1"}
    assert lines == [
        {"level": "warning", "event": "spoken", **bound, "attempt": attempt, "mood": "grave"}
        for attempt in (1, 2)
    ]


@pytest.mark.parametrize(("event", "logged"), [(None, "None"), (5, "5"), (b"x", "b'x'")])
async def test_an_event_that_is_no_text_does_not_fail_the_job(
    event: Any, logged: str, registry: Registry, make_rig: MakeRig
) -> None:
    """The line comes with the event as text, and the job completes."""

    @registry.job("speaks", retry=Retry(max_retries=0))
    async def speaks(job: JobContext) -> None:
        job.log.info(event)

    rig = make_rig(workers=1)
    await rig.start()
    assert (await run_one(rig, "speaks")).status == "completed"
    assert logged in [line["event"] for line in rig.lines]


async def test_arguments_that_do_not_fit_an_event_do_not_fail_the_job(
    registry: Registry, make_rig: MakeRig
) -> None:
    """The line comes with both as they were given, and the job completes."""

    @registry.job("speaks", retry=Retry(max_retries=0))
    async def speaks(job: JobContext) -> None:
        job.log.info("%d left", None)

    rig = make_rig(workers=1)
    await rig.start()
    assert (await run_one(rig, "speaks")).status == "completed"
    (line,) = [line for line in rig.lines if line["event"] == "%d left"]
    assert line["positional_args"] == [None]
