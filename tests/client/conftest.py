"""A service that is served over a socket, and the three ways to call it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from job_service import JobContext, Registry, Retry, RunningService, Settings, host
from job_service.client import AsyncJobClient, JobClient

Call = Callable[..., Awaitable[Any]]
Serve = Callable[..., AbstractAsyncContextManager[RunningService]]


class Result:
    """What a call that runs beside the test came to."""

    def __init__(self, nursery: trio.Nursery, call: Any, *args: Any, **kwargs: Any) -> None:
        self._done = trio.Event()
        self._value: Any = None
        nursery.start_soon(self._run, partial(call, *args, **kwargs))

    async def _run(self, call: Any) -> None:
        self._value = await call()
        self._done.set()

    @property
    def is_there(self) -> bool:
        """Whether it has come to its end."""
        return self._done.is_set()

    async def value(self) -> Any:
        """It, when it is there."""
        with trio.fail_after(30):
            await self._done.wait()
        return self._value


@pytest.fixture
def registry() -> Registry:
    """Job types that end at once, never, or as the test wants."""
    registry = Registry()

    @registry.job("double")
    async def double(number: int) -> int:
        return 2 * number

    @registry.job("fail", retry=Retry(max_retries=0))
    async def fail() -> None:
        raise ValueError("no luck")

    @registry.job("sleep")
    async def sleep(seconds: float, job: JobContext) -> None:
        job.progress(1, 2, note="asleep")
        await trio.sleep(seconds)

    @registry.cron("@yearly", name="clean/up")
    async def clean_up() -> None:
        pass

    return registry


@pytest.fixture
def serve(registry: Registry, tmp_path: Path) -> Serve:
    """Serves for a block; options are settings."""

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[RunningService]:
        log = {"log_file": str(tmp_path / "log")}
        async with host(registry, Settings(**({"port": 0} | log | settings))) as running:
            yield running

    return run


@pytest.fixture(params=["blocking", "trio", "asyncio"])
def call(request: pytest.FixtureRequest) -> Call:
    """Calls a method of a client for a URL: in a thread, on this loop, or on one of asyncio."""

    async def on_a_loop(url: str, method: str, *args: Any, **kwargs: Any) -> Any:
        options = kwargs.pop("client", {})
        async with AsyncJobClient(url, **options) as client:
            return await getattr(client, method)(*args, **kwargs)

    def in_a_thread(url: str, method: str, *args: Any, **kwargs: Any) -> Any:
        options = kwargs.pop("client", {})
        with JobClient(url, **options) as client:
            return getattr(client, method)(*args, **kwargs)

    async def call(*args: Any, **kwargs: Any) -> Any:
        if request.param == "trio":
            return await on_a_loop(*args, **kwargs)
        if request.param == "asyncio":
            return await trio.to_thread.run_sync(
                lambda: asyncio.run(on_a_loop(*args, **kwargs)), abandon_on_cancel=True
            )
        return await trio.to_thread.run_sync(
            lambda: in_a_thread(*args, **kwargs), abandon_on_cancel=True
        )

    return call
