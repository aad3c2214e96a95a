"""Handlers that run in processes: what they get, what they give back, and how they are ended."""

import functools
import importlib.util
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.progress import Progress
from job_service.telemetry.events import JobFailed, JobLogged
from tests.conftest import Rig
from tests.jobs import process_handlers
from tests.jobs.steps import check_the_end, result_of, running

SECONDS = 30.0

Handler = Callable[..., Any]


async def run(rig: Rig, handler: Handler, payload: object = None) -> JobDetail:
    """The detail of a job that has ended."""
    job = await rig.queue.submit(handler.__name__, payload)
    detail = await rig.queue.wait(job.id, SECONDS)
    assert detail.status not in ("pending", "processing")
    return detail


def register(registry: Registry, *handlers: Handler, **terms: Any) -> None:
    """Each under its own name, to be tried once."""
    for handler in handlers:
        once = Retry(max_retries=0)
        registry.job(handler.__name__, retry=once, runs_in="process", **terms)(handler)


async def until_it_spins(path: Path) -> int:
    """The process that `spin` runs in."""
    with trio.fail_after(SECONDS):
        while not path.exists():
            await trio.sleep(0.01)
    return int(path.read_text())


def is_alive(process_id: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
async def test_a_handler_runs_in_another_process(registry: Registry) -> None:
    """It gets its payload as its annotation says, and the process is kept for the next job."""
    register(registry, process_handlers.area, process_handlers.process_id)
    async with running(registry, workers=1) as rig:
        assert result_of(await run(rig, process_handlers.area, {"side": 7})) == 49
        first = result_of(await run(rig, process_handlers.process_id))
        assert first != os.getpid()
        assert result_of(await run(rig, process_handlers.process_id)) == first
    assert not is_alive(first)


@pytest.mark.slow
async def test_a_process_starts_though_the_working_directory_is_gone(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a handler goes to a folder of its own, and takes that away when it has done."""
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    register(registry, process_handlers.process_id)
    async with running(registry, workers=1) as rig:
        assert result_of(await run(rig, process_handlers.process_id)) != os.getpid()


async def test_a_process_knows_which_job_it_runs(registry: Registry) -> None:
    """As a handler in the service does."""
    register(registry, process_handlers.who)
    async with running(registry, workers=1) as rig:
        detail = await run(rig, process_handlers.who)
        assert result_of(detail) == {
            "id": detail.id,
            "type": "who",
            "worker_id": "worker-1",
            "attempt": 1,
            "max_retries": 0,
            "is_last_attempt": True,
            "created_at": f"{detail.created_at.isoformat()[:-6]}Z",
            "scheduled_for": None,
            "unique_key": None,
            "deadline": None,
            "group": None,
            "callback_of": None,
        }


@pytest.mark.slow
async def test_what_a_process_logs_belongs_to_its_job(registry: Registry) -> None:
    """It is in the log, in the story and in the stream, as what handlers elsewhere log."""
    register(registry, process_handlers.tells)
    async with running(registry, workers=1) as rig:
        detail = await run(rig, process_handlers.tells)
    log = detail.attempts[0].log
    assert log is not None
    began, left, failed, long = msgspec.json.decode(msgspec.json.encode(log.first))
    fields = {"size": 3, "path": "PosixPath('/srv')", "text": "100 % \\ud800"}
    assert (began["level"], began["event"], began["fields"]) == ("info", "began", fields)
    assert (left["level"], left["event"], left["fields"]) == (
        "warning",
        "2 left",
        {"part": "second"},
    )
    assert failed["level"] == "error"
    assert failed["fields"]["traceback"].endswith("ValueError: no\n")
    assert long["fields"]["text"].startswith("xxx")
    assert detail.progress == Progress(3, 10, "reading")
    (line,) = [line for line in rig.lines if line["event"] == "began"]
    identity = {"job_id": detail.id, "job_type": "tells", "worker_id": "worker-1", "attempt": 1}
    assert line.items() >= {**fields, **identity}.items()
    assert rig.record.of(JobLogged)[0].message == "began"


@pytest.mark.slow
async def test_a_process_may_say_more_than_anybody_reads(registry: Registry) -> None:
    """It waits for the service; nothing is lost of what it says before its result."""
    register(registry, process_handlers.chatty)
    async with running(registry, workers=1) as rig:
        detail = await run(rig, process_handlers.chatty, 2_000)
    assert detail.status == "completed"
    log = detail.attempts[0].log
    assert log is not None
    assert len(log.first) + log.missing + len(log.last) == 2_000
    assert len([line for line in rig.lines if line["event"] == "step"]) == 2_000


async def test_what_a_process_said_before_it_died_is_kept(registry: Registry) -> None:
    """Of a killed one nothing is missing but what it has not said."""
    register(registry, process_handlers.says_and_dies)
    async with running(registry, workers=1) as rig:
        detail = await run(rig, process_handlers.says_and_dies)
    assert detail.status == "failed"
    log = detail.attempts[0].log
    assert log is not None
    assert [line.event for line in log.first] == ["farewell"]


async def test_a_process_opens_its_resources_once(registry: Registry, tmp_path: Path) -> None:
    """Before the first job that takes them, and closes them when it ends by itself."""
    registry.resource(runs_in="process")(process_handlers.opened)
    register(registry, process_handlers.uses)
    closes = tmp_path / "closed"
    async with running(registry, workers=1) as rig:
        first, second = [
            result_of(await run(rig, process_handlers.uses, str(closes))) for _ in range(2)
        ]
        assert not closes.exists()
    assert first[0] == first[2] == second[0] == second[2] != os.getpid()
    assert [first[1], second[1]] == [1, 2]
    assert closes.read_text() == "closed"


async def test_a_resource_that_a_process_can_not_open_fails_the_attempt(
    registry: Registry,
) -> None:
    """With its own error, because the service has long been started."""
    registry.resource(runs_in="process")(process_handlers.broken)
    register(registry, process_handlers.needs)
    async with running(registry, workers=1) as rig:
        assert (await run(rig, process_handlers.needs)).error == "OSError: no server"


ENDS = {
    process_handlers.raises: "ValueError: no luck",
    process_handlers.raises_picky: "tests.jobs.process_handlers.Picky: this: that",
    process_handlers.raises_unreadable: "RuntimeError: ValueError: <function raises_unreadable",
    process_handlers.returns_unreadable: "the result can't be written as JSON: ",
    process_handlers.returns_a_complex_number: "the result can't be written as JSON: ",
    process_handlers.raises_no_exception: "asyncio.exceptions.CancelledError",
    process_handlers.exits: "ProcessDied: its process exited with status 3",
    process_handlers.is_killed: "ProcessDied: its process was killed by SIGKILL; if nobody did",
    process_handlers.crashes: "ProcessDied: its process was killed by SIGSEGV",
    process_handlers.leaves: "SystemExit: bye",
}


async def test_no_ctrl_c_comes_out_of_a_process(registry: Registry) -> None:
    """None reaches it, so what looks like one is a handler's error, and the service goes on."""
    register(registry, process_handlers.interrupts)
    async with running(registry, workers=1) as rig:
        for alone in (True, False):
            detail = await run(rig, process_handlers.interrupts, alone)
            assert detail.status == "failed"
            assert "KeyboardInterrupt" in str(detail.error)


@pytest.mark.slow
async def test_whatever_goes_wrong_there_fails_the_attempt_only(registry: Registry) -> None:
    """The error says what it was, and the worker goes on to the next job."""
    register(registry, *ENDS, process_handlers.process_id)
    async with running(registry, workers=1) as rig:
        for handler, error in ENDS.items():
            detail = await run(rig, handler)
            assert detail.status == "failed"
            assert str(detail.attempts[0].error).startswith(error)
        assert (await run(rig, process_handlers.process_id)).status == "completed"

    traceback = str(rig.record.of(JobFailed)[0].traceback)
    assert 'raise ValueError("no luck")' in traceback
    assert "process_handlers.py" in traceback


@pytest.mark.slow
async def test_a_handler_may_start_processes_of_its_own(registry: Registry) -> None:
    """A pool, an executor; and a child that it forks heeds the signals that stop it."""
    register(registry, *MAKE_PROCESSES)
    async with running(registry, workers=1) as rig:
        for handler, result in MAKE_PROCESSES.items():
            detail = await run(rig, handler)
            assert (detail.status, detail.error) == ("completed", None)
            assert result_of(detail) == result


MAKE_PROCESSES = {
    process_handlers.uses_a_pool: [1, 2],
    process_handlers.uses_an_executor: [1, 2],
    process_handlers.stops_a_child: -signal.SIGTERM,
}


async def test_what_a_handler_has_started_is_killed_with_it(
    registry: Registry, tmp_path: Path
) -> None:
    """And does not keep the service from seeing that its process has ended."""
    register(registry, process_handlers.spins_in_a_child)
    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("spins_in_a_child", str(tmp_path / "id"))
        process = await until_it_spins(tmp_path / "id")
        await rig.queue.cancel(job.id)
        assert (await rig.queue.wait(job.id, SECONDS)).status == "cancelled"
        with trio.fail_after(SECONDS):
            while is_alive(process):
                await trio.sleep(0.01)


@pytest.mark.slow
async def test_what_libraries_say_there_is_in_the_log(
    registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the job that they say it for, and nothing on stderr: of threads and children, too."""
    register(registry, process_handlers.says)
    async with running(registry, workers=1) as rig:
        detail = await run(rig, process_handlers.says, "one")
    lines = [line for line in rig.lines if line["event"] == "library_message"]
    said = {line["message"]: line for line in lines}
    assert [*said] == [
        "one",
        "failed with one",
        "with a strange error",
        "from a child",
        "error in thread helper",
    ]
    assert {line["job_id"] for line in lines} == {detail.id}
    assert (lines[0]["level"], lines[0]["library"]) == ("warning", "lib")
    assert (lines[0]["worker_id"], lines[0]["attempt"]) == ("worker-1", 1)
    assert said["failed with one"]["traceback"].endswith("ValueError: one\n")
    assert "ZeroDivisionError" in said["error in thread helper"]["traceback"]
    assert capfd.readouterr().err == ""


@pytest.mark.slow
async def test_context_variables_don_t_leak_between_jobs_of_a_process(registry: Registry) -> None:
    """It is kept for the next job, and what a job has set in its context is not."""
    register(registry, process_handlers.sets_a_variable)
    async with running(registry, workers=1) as rig:
        for _ in range(2):
            assert result_of(await run(rig, process_handlers.sets_a_variable)) == "nobody"


@pytest.mark.slow
async def test_cancelling_a_job_kills_its_process(registry: Registry, tmp_path: Path) -> None:
    """It need not notice anything by itself, and the worker is free at once."""
    register(registry, process_handlers.spin, process_handlers.process_id)
    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("spin", str(tmp_path / "id"))
        process = await until_it_spins(tmp_path / "id")
        await rig.queue.cancel(job.id)
        assert (await rig.queue.wait(job.id, SECONDS)).status == "cancelled"
        assert not is_alive(process)
        assert (await run(rig, process_handlers.process_id)).status == "completed"


@pytest.mark.slow
async def test_no_more_run_at_once_than_their_type_allows(
    registry: Registry, tmp_path: Path
) -> None:
    """The next one begins when the process of the one before has been killed, and not before."""
    register(registry, process_handlers.spin, concurrency=1)
    async with running(registry, workers=2) as rig:
        first, second = [
            await rig.queue.submit("spin", str(tmp_path / name)) for name in ("first", "second")
        ]
        process = await until_it_spins(tmp_path / "first")
        why = (await rig.queue.get(second.id)).waits_because
        assert why == "held back: spin runs 1 of at most 1"
        await rig.queue.cancel(first.id)
        assert await until_it_spins(tmp_path / "second") != process
        assert not is_alive(process)
        await rig.queue.cancel(second.id)


@pytest.mark.slow
async def test_a_timeout_kills_its_process(registry: Registry, tmp_path: Path) -> None:
    """As a cancellation does."""
    register(registry, process_handlers.process_id)
    register(registry, process_handlers.spin, timeout=3)
    async with running(registry, workers=1) as rig:
        await run(rig, process_handlers.process_id)  # a busy machine is slow to start a process
        detail = await run(rig, process_handlers.spin, str(tmp_path / "id"))
        assert detail.status == "failed"
        assert str(detail.attempts[0].error).startswith("TimeoutError: ")
    assert not is_alive(await until_it_spins(tmp_path / "id"))


@pytest.mark.parametrize("way", ["stop", "grace", "cancel"])
async def test_no_process_outlives_the_engine(way: str, registry: Registry, tmp_path: Path) -> None:
    """Stopped, out of grace, or cancelled with the program around it."""
    register(registry, process_handlers.spin)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            rig = Rig(nursery, registry)
            await rig.start()
            await rig.queue.submit("spin", str(tmp_path / "id"))
            process = await until_it_spins(tmp_path / "id")
            if way == "stop":
                rig.engine.stop("second_signal")
            elif way == "grace":
                rig.engine.drain(0)
            else:
                nursery.cancel_scope.cancel()
    assert not is_alive(process)
    check_the_end(rig)
    assert rig.snapshot().jobs_abandoned == 1


COPIES: dict[str, Any] = {
    "partial": functools.partial(process_handlers.multiply, 3),
    "partial by name": functools.partial(process_handlers.multiply, factor=3),
    "object": process_handlers.scale,
    "method": process_handlers.scale.scale,
}


async def test_a_handler_may_be_made_of_parts_that_can_be_copied(registry: Registry) -> None:
    """A partial, an object that can be called, or a method: the process gets a copy of it."""
    for name, handler in COPIES.items():
        registry.job(name, runs_in="process")(handler)
    async with running(registry, workers=1) as rig:
        for name in COPIES:
            job = await rig.queue.submit(name, 7)
            assert result_of(await rig.queue.wait(job.id, SECONDS)) == 21


def in_main() -> None:
    """As in the program that is run."""


in_main.__module__ = "__main__"


def test_what_a_process_cant_import_is_refused(registry: Registry) -> None:
    """Where it is registered, and not when its first job runs."""

    def nested() -> None: ...

    for handler in (nested, lambda: None, in_main):
        with pytest.raises(TypeError, match="can't run in a process: it must be"):
            registry.job("job", runs_in="process")(handler)
    assert registry.names == []


LOCK: Any = threading.Lock()


class Locked:
    """What can't be copied."""

    def __init__(self) -> None:
        self.lock = LOCK

    def __call__(self) -> None:
        """Do nothing."""

    def method(self) -> None:
        """Do nothing."""


def known() -> None:
    """A function that others wrap."""


@functools.wraps(known)
def unknown() -> None:
    """What nobody can find: by its name there is another function."""


async def coroutine() -> None:
    """What has to be awaited."""


@functools.wraps(coroutine)
def gives_a_coroutine() -> Any:
    """Only the loop could await it."""
    return coroutine()


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (functools.partial(lambda _: None, 1), "it must be a function at the top"),
        (functools.partial(process_handlers.multiply, LOCK), "be copied there: .*lock"),
        (Locked(), "Locked.__call__ can't run in a process: it can't be copied there: .*lock"),
        (Locked().method, "can't be copied there: .*lock"),
        (unknown, "in its module, its name is that of the function it wraps"),
        (gives_a_coroutine, "its coroutine can't come back from a process: register a def"),
        (coroutine, "is an async def: it runs in 'loop'"),
    ],
)
def test_what_a_process_cant_have_is_refused(
    registry: Registry, handler: Any, problem: str
) -> None:
    """In words that say what of it can't go there."""
    with pytest.raises(TypeError, match=rf"{problem}.* \(\S+test_processes.py:\d+\)$|copied.*py:"):
        registry.job("job", runs_in="process")(handler)
    assert registry.names == []


def test_without_trio_parallel_the_extra_is_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those who want processes have to install it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    registry.job("thread")(process_handlers.area)
    with pytest.raises(ImportError, match="the extra 'process'"):
        register(registry, process_handlers.area)
