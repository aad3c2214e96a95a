"""Calls handlers, each in its place, with what it takes, and within the hooks of its job type."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import boxed
from job_service.jobs.registration.hooks import Around
from job_service.jobs.registration.job_type import JobType, teller_for
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.processes import Processes, open_processes
from job_service.jobs.running.resources import as_context_manager, open_resources
from job_service.jobs.running.threads import Threads
from job_service.jobs.state.model import Attempt, Job

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from job_service.jobs.running.asyncio_loop import AsyncioLoop
    from job_service.jobs.running.asyncio_thread import WatchTurns


class Calls:
    """Knows the places of one engine and its open resources, by their names.

    `openers` are those of the resources of processes, which are opened there.

    Each call raises what the handler does. If it is cancelled, the handler is interrupted.
    """

    def __init__(
        self,
        resources: Mapping[str, Any],
        openers: Mapping[str, Callable[[], Any]],
        processes: Processes | None,
        threads: Threads,
        asyncio_loop: "AsyncioLoop | None",
    ) -> None:
        self.resources = resources
        self._openers = openers
        self._processes = processes
        self._threads = threads
        self._asyncio = asyncio_loop

    def call(
        self, job_type: JobType, job: Job, attempt: Attempt, make_context: Callable[[], JobContext]
    ) -> Awaitable[Any]:
        """What the handler returns, to be awaited; `make_context` is called if it is needed."""
        if not job_type.hooks.around:
            return self._call(job_type, job, attempt, make_context)
        context = make_context()
        handle = partial(self._call, job_type, job, attempt, lambda: context)
        return _within(job_type.hooks.around, context, self.resources, handle)

    async def _call(
        self, job_type: JobType, job: Job, attempt: Attempt, make_context: Callable[[], JobContext]
    ) -> Any:
        if job_type.runs_in == "process":
            if self._processes is None:
                raise RuntimeError(f"{job_type.name} was registered after the service's start")
            openers = {name: self._openers[name] for name in job_type.resource_parameters}
            return await self._processes.call(
                job_type.handler, job.payload, make_context(), openers
            )
        if job_type.runs_in == "asyncio":
            if self._asyncio is None:
                raise RuntimeError(f"{job_type.name} was registered after the service's start")
            context = make_context()
            arguments = job_type.arguments(job.payload, lambda: context, self.resources)
            return await self._asyncio.call(partial(job_type.handler, **arguments), context)
        arguments = job_type.arguments(job.payload, make_context, self.resources)
        if job_type.runs_in == "loop":
            return await job_type.handler(**arguments)
        call = partial(boxed, job_type.handler, arguments)
        [result] = await self._threads.call(job, attempt, call, teller_for(job_type))
        return await result if isawaitable(result) else result  # whose decorator hid an async def


@asynccontextmanager
async def open_calls(
    registry: Registry,
    threads: Threads,
    log: "FilteringBoundLogger",
    watch_asyncio: "WatchTurns | None",
    on_closing: Callable[[], None],
) -> AsyncIterator[Calls]:
    """Open all places in which handlers of the registry run, and all resources, for the block.

    `on_closing` is called before the first resource is left. Raises ResourceFailed.
    """
    in_processes = {
        name: resource.open
        for name, resource in registry.resources.items()
        if resource.runs_in == "process"
    }
    async with (
        open_processes(registry.needs_processes, log) as processes,
        _open_asyncio_loop(registry.needs_asyncio, watch_asyncio) as loop,
    ):
        openers = {
            name: resource.open
            if loop is None or resource.runs_in == "loop"
            # It is entered on the loop that it lives on.
            else partial(loop.entered, resource.open)
            for name, resource in registry.resources.items()
            if resource.runs_in != "process"
        }
        async with open_resources(openers, on_closing) as resources:
            yield Calls(resources, in_processes, processes, threads, loop)


@asynccontextmanager
async def _open_asyncio_loop(
    needed: bool, watch: "WatchTurns | None"
) -> AsyncIterator["AsyncioLoop | None"]:
    if not needed:
        yield None
        return
    from job_service.jobs.running.asyncio_loop import open_asyncio_loop

    async with open_asyncio_loop(watch) as loop:
        yield loop


async def _within(
    hooks: Sequence[Around],
    context: JobContext,
    resources: Mapping[str, Any],
    handle: Callable[[], Awaitable[Any]],
) -> Any:
    """What `handle` gives, within these hooks, the first of which is the outermost."""
    if not hooks:
        return await handle()
    failure: BaseException | None = None
    async with as_context_manager(hooks[0].open(context, resources)):
        try:
            return await _within(hooks[1:], context, resources, handle)
        except BaseException as error:
            failure = error
            raise
    # The hook has swallowed it, as one does that only logs. The attempt has failed all the same.
    assert failure is not None  # noqa: S101
    raise failure
