"""Resources: opened before the first job, shared by handlers, closed after the last."""

import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing

from job_service.errors import ResourceFailed
from job_service.failures.exception_groups import leaves
from job_service.jobs.registration.registry import Registry
from tests.conftest import Rig
from tests.jobs import process_handlers
from tests.jobs.steps import check_the_end, crash, result_of, run_one, running

Autojump = trio.testing.MockClock


@pytest.fixture
def said(registry: Registry) -> list[str]:
    """What the resources `first` and `second`, and a job that takes time, did, in its order."""
    said: list[str] = []

    @registry.resource
    async def first() -> AsyncIterator[str]:
        said.append("first opened")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                yield "the first"
            finally:
                await trio.sleep(0.5)
                said.append("first closed")
                nursery.cancel_scope.cancel()

    @registry.resource
    def second() -> AbstractAsyncContextManager[str]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[str]:
            said.append("second opened")
            try:
                yield "the second"
            finally:
                await trio.sleep(0.4)
                said.append("second closed")

        return opened()

    @registry.job("uses")
    async def uses(second: str, word: str, first: str) -> list[str]:
        said.append("job")
        return [first, second, word]

    @registry.job("lasts")
    async def lasts(first: str) -> None:
        try:
            await trio.sleep(1_000)
        finally:
            said.append("job ended")

    return said


async def test_handlers_get_the_resources_they_name(
    registry: Registry, said: list[str], autojump_clock: Autojump
) -> None:
    """Beside the payload; opened once, in order, and closed in the reverse one."""
    async with running(registry) as rig:
        for _ in range(2):
            detail = await run_one(rig, "uses", "word")
            assert result_of(detail) == ["the first", "the second", "word"]
    assert said == [
        *("first opened", "second opened", "job", "job", "second closed", "first closed"),
    ]


@pytest.mark.parametrize("way", ["stop", "grace"])
async def test_resources_are_closed_in_peace_however_the_engine_ends(
    way: str, registry: Registry, said: list[str], autojump_clock: Autojump
) -> None:
    """Interrupted are the jobs; what they used has a moment of its own, when they have ended."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry)
        await rig.start()
        await rig.queue.submit("lasts")
        await trio.testing.wait_all_tasks_blocked()
        if way == "stop":
            rig.engine.stop("second_signal")
        else:
            rig.engine.drain(5)
    check_the_end(rig)
    assert said[2:] == ["job ended", "second closed", "first closed"]


async def test_a_program_that_is_cancelled_lets_resources_close(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """Where they wait for no task of their own, which is cancelled with the program."""
    closed_at = []

    @registry.resource
    async def pool() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await trio.sleep(0.5)
            closed_at.append(trio.current_time())

    with trio.CancelScope() as program:
        async with trio.open_nursery() as nursery:
            await Rig(nursery, registry).start()
            program.cancel()
    assert closed_at == [0.5]


@pytest.mark.parametrize("way", ["drain", "stop", "crash"])
async def test_a_resource_that_cant_close_holds_nothing_up(
    way: str, registry: Registry, autojump_clock: Autojump
) -> None:
    """It has what is left of the grace, and a moment more; after a stop or a crash, a second."""

    @registry.resource
    async def stuck() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await trio.sleep_forever()

    @registry.job("breaks")
    async def breaks(stuck: None) -> None:
        raise KeyboardInterrupt

    if way == "crash":
        await crash(registry, "breaks", workers=1)
        assert trio.current_time() == 1
        return
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry)
        await rig.start()
        if way == "drain":
            rig.engine.drain(5)
        else:
            rig.engine.stop("second_signal")
    assert trio.current_time() == (8 if way == "drain" else 1)
    check_the_end(rig)


@pytest.mark.parametrize("way", ["stop", "drain"])
async def test_an_engine_can_be_stopped_while_a_resource_opens(
    way: str, registry: Registry, said: list[str], autojump_clock: Autojump
) -> None:
    """It never starts; no job is owed a clean-up, so it has a second, and jobs are abandoned."""

    @registry.resource
    async def stuck() -> AsyncIterator[None]:
        await trio.sleep_forever()
        yield

    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry)
        nursery.start_soon(rig.engine.run)
        await rig.queue.submit("lasts")
        await trio.sleep(10)
        if way == "stop":
            rig.engine.stop("second_signal")
        else:
            rig.engine.drain(1_000)
    assert not rig.engine.started
    assert rig.engine.outcome == ("second_signal" if way == "stop" else "drained")
    assert trio.current_time() == 11
    assert rig.snapshot().jobs_abandoned == 1


@pytest.mark.parametrize("when", ["opening", "meanwhile", "closing"])
async def test_an_error_of_a_resource_ends_the_engine_visibly(
    when: str, registry: Registry, said: list[str], autojump_clock: Autojump
) -> None:
    """No job is lost, and the other resources are closed."""

    async def breaks() -> None:
        await trio.sleep(0.05)
        raise OSError("gone")

    @registry.resource
    async def broken() -> AsyncIterator[None]:
        if when == "opening":
            await breaks()
        async with trio.open_nursery() as nursery:
            if when == "meanwhile":
                nursery.start_soon(breaks)
            yield
        if when == "closing":
            await breaks()

    raised = ResourceFailed if when == "opening" else OSError
    with pytest.RaisesGroup(raised, flatten_subgroups=True) as caught:
        async with trio.open_nursery() as nursery:
            rig = Rig(nursery, registry)
            await rig.queue.submit("lasts")
            await rig.start()
            if when == "closing":
                rig.engine.drain(3)
            await trio.sleep(100)
    (error,) = leaves(caught.value)
    assert str(error) == ("resource broken: OSError: gone" if when == "opening" else "gone")
    assert rig.engine.outcome == "crashed"
    assert said[-2:] == ["second closed", "first closed"]
    assert rig.snapshot().jobs_abandoned == 1
    check_the_end(rig)


async def test_a_resource_that_exits_could_not_be_opened(registry: Registry) -> None:
    """As a tool for the command line does that finds no server."""

    @registry.resource
    async def database() -> AsyncIterator[None]:
        sys.exit("no server")
        yield

    with pytest.RaisesGroup(ResourceFailed, flatten_subgroups=True) as caught:
        async with trio.open_nursery() as nursery:
            await Rig(nursery, registry).start()
    (error,) = leaves(caught.value)
    assert str(error) == "resource database: SystemExit: no server"


async def test_no_resource_swallows_that_another_does_not_open(registry: Registry) -> None:
    """One that is open and takes every error for its own hides nothing."""

    @registry.resource
    async def lenient() -> AsyncIterator[None]:
        with suppress(Exception):
            yield

    @registry.resource
    async def broken() -> AsyncIterator[None]:
        raise OSError("db down")
        yield

    with pytest.RaisesGroup(
        pytest.RaisesExc(ResourceFailed, match="resource broken: OSError: db down"),
        flatten_subgroups=True,
    ):
        async with running(registry):
            raise AssertionError("it has started")  # pragma: no cover


async def test_what_opens_without_the_loop_is_no_resource(registry: Registry) -> None:
    """The error of a `@contextmanager` says what to write in its place."""

    @registry.resource
    @contextmanager
    def pool() -> Iterator[None]:
        yield

    with pytest.RaisesGroup(ResourceFailed, flatten_subgroups=True) as caught:
        async with running(registry):
            raise AssertionError("it has started")  # pragma: no cover
    (error,) = leaves(caught.value)
    assert "is no async context manager: write an async def that yields" in str(error)


async def test_a_decorated_resource_is_opened(registry: Registry, autojump_clock: Autojump) -> None:
    """Even if the decorator's wrapper does not look like an async generator function."""

    def traced(function: Callable[[], AsyncIterator[str]]) -> Callable[[], AsyncIterator[str]]:
        @functools.wraps(function)
        def wrapper() -> AsyncIterator[str]:
            return function()

        return wrapper

    @registry.resource
    @traced
    async def pool() -> AsyncIterator[str]:
        yield "the pool"

    @registry.job("uses")
    async def uses(pool: str) -> str:
        return pool

    async with running(registry) as rig:
        assert result_of(await run_one(rig, "uses")) == "the pool"


async def test_resources_that_are_closing_are_cut_short_by_a_stop(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """No job runs any more, so a second is all they get."""

    @registry.resource
    async def slow() -> AsyncIterator[None]:
        yield
        await trio.sleep(20)

    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry)
        await rig.start()
        rig.engine.drain(30)
        await trio.sleep(2)
        rig.engine.stop("cancelled")
    assert trio.current_time() == 3
    assert rig.engine.outcome == "drained"
    check_the_end(rig)


def test_a_resource_is_named_once(registry: Registry, said: list[str]) -> None:
    """Also where a registry is taken in, all or nothing."""
    other = Registry()

    @other.job("other")
    async def handler() -> None: ...

    @other.resource
    async def second() -> AsyncIterator[None]:
        yield

    with pytest.raises(ValueError, match="there is already a resource 'second'"):
        registry.resource(second)
    with pytest.raises(ValueError, match="there is already a resource 'second'"):
        registry.include(other)
    assert registry.names == ["lasts", "uses"]


async def test_a_registry_brings_its_resources_along(
    registry: Registry, said: list[str], autojump_clock: Autojump
) -> None:
    """Handlers find them in whatever registry runs them."""
    application = Registry()
    application.include(registry)
    async with running(application) as rig:
        detail = await run_one(rig, "uses", "word")
        assert result_of(detail) == ["the first", "the second", "word"]


def test_what_is_no_resource_is_refused(registry: Registry) -> None:
    """A coroutine function opens nothing, and nobody would give parameters."""

    async def coroutine() -> None: ...

    async def takes(parameter: int) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="can't be a resource"):
        registry.resource(coroutine)
    with pytest.raises(TypeError, match="can't have parameters without defaults"):
        registry.resource(takes)  # type: ignore[type-var]  # as a user might
    assert dict(registry.resources) == {}


def test_resources_dont_reach_into_processes(registry: Registry) -> None:
    """A connection can't be handed over."""

    @registry.resource
    async def square() -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="in a process, it can take only those with runs_in"):
        registry.job("area", runs_in="process")(process_handlers.area)


def test_resources_of_processes_stay_there(registry: Registry) -> None:
    """A handler elsewhere can't have what was opened in another process."""
    registry.resource(runs_in="process")(process_handlers.opened)

    async def takes(opened: object) -> None: ...

    async def hook(job: object, opened: object) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="it is opened in processes, and the handler runs in none"):
        registry.job("takes")(takes)
    with pytest.raises(TypeError, match=r"nothing gives the hook .* its opened"):
        registry.around(hook)


async def coroutines() -> AsyncIterator[None]:
    """What a process has no loop for."""
    yield


@pytest.mark.parametrize(
    ("function", "runs_in", "problem"),
    [
        (coroutines, "process", "must be a generator function"),
        (lambda: None, "process", "at the top of its module"),
        (functools.partial(process_handlers.opened), "process", "must be a generator function"),
        (process_handlers.opened, "thread", "must be 'loop', 'process' or 'asyncio', not 'thread'"),
    ],
)
def test_what_can_not_be_opened_there_is_refused(
    function: Any, runs_in: Any, problem: str, registry: Registry
) -> None:
    """At registration."""
    with pytest.raises((TypeError, ValueError), match=problem):
        registry.resource(runs_in=runs_in)(function)


def test_a_resource_comes_before_the_handlers_that_take_it(registry: Registry) -> None:
    """A handler that was there first would get its payload in that parameter."""

    @registry.job("report")
    async def report(database: Any) -> None: ...

    async def database() -> AsyncIterator[None]:
        yield

    with pytest.raises(ValueError, match="'database' before the job type 'report'"):
        registry.resource(database)
    assert list(registry.resources) == []
