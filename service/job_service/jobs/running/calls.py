"""Calls handlers, each in its place, with what it takes, and within the hooks of its job type."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any

from job_service.jobs.registration.context import JobContext, facts_of
from job_service.jobs.registration.handler import boxed
from job_service.jobs.registration.hooks import Around
from job_service.jobs.registration.job_type import JobType
from job_service.jobs.running.processes import Processes
from job_service.jobs.running.resources import as_context_manager
from job_service.jobs.running.threads import Threads
from job_service.jobs.state.model import Attempt, Job


class Calls:
    """Knows the places of one engine and its open resources, by their names.

    Each call raises what the handler does. If it is cancelled, the handler is interrupted.
    """

    def __init__(
        self, resources: Mapping[str, Any], processes: Processes | None, threads: Threads
    ) -> None:
        self._resources = resources
        self._processes = processes
        self._threads = threads

    def call(
        self, job_type: JobType, job: Job, attempt: Attempt, make_context: Callable[[], JobContext]
    ) -> Awaitable[Any]:
        """What the handler returns, to be awaited; `make_context` is called if it is needed."""
        if not job_type.hooks.around:
            return self._call(job_type, job, attempt, make_context)
        context = make_context()
        handle = partial(self._call, job_type, job, attempt, lambda: context)
        return _within(job_type.hooks.around, context, self._resources, handle)

    async def _call(
        self, job_type: JobType, job: Job, attempt: Attempt, make_context: Callable[[], JobContext]
    ) -> Any:
        if job_type.runs_in == "process":
            if self._processes is None:
                raise RuntimeError(f"{job_type.name} was registered after the service's start")
            facts = facts_of(make_context())
            return await self._processes.call(job_type.handler, job.payload, facts)
        arguments = job_type.arguments(job.payload, make_context, self._resources)
        if job_type.runs_in == "loop":
            return await job_type.handler(**arguments)
        [result] = await self._threads.call(
            job, attempt, partial(boxed, job_type.handler, arguments)
        )
        return await result if isawaitable(result) else result  # whose decorator hid an async def


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
