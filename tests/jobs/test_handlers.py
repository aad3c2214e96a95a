"""What a handler may be and do: take what it likes, return JSON, log under its own name."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.jobs.steps import MakeRig, endings, result_of, run_one, running

AT_ONCE = Retry(base_seconds=0)


class Letter(msgspec.Struct):
    """A payload."""

    to: str
    lines: list[str] = []


async def payload_only(letter: Letter) -> str:
    """A handler of every permitted signature, of which this is the first."""
    return letter.to


async def context_only(job: JobContext) -> str:
    """No payload is asked for."""
    return f"{job.type} {job.attempt}"


async def both(letter: Letter, job: JobContext) -> str:
    """The usual one."""
    return f"{letter.to} {job.attempt}"


async def both_the_other_way_round(job: JobContext, letter: Letter) -> str:
    """It is the annotation that counts, not the order."""
    return f"{letter.to} {job.attempt}"


async def by_keyword(*, letter: Letter, job: JobContext) -> str:
    """Keyword-only parameters."""
    return f"{letter.to} {job.attempt}"


async def neither() -> str:
    """Nothing at all."""
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
    """A result whose field was taken away again."""

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
    """Its work is done and is not done again for the result's sake; the service goes on."""

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
    """What one attempt does to its payload, or a submitter to what he sent, no other one sees."""

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
