"""Opens what handlers share before the workers start, and closes it after them."""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from job_service.errors import ResourceFailed
from job_service.failures.report import describe
from job_service.jobs.registration.resource import OpenResource
from job_service.jobs.running.cancellation import interruption_in


@asynccontextmanager
async def open_resources(
    openers: Mapping[str, OpenResource], on_closing: Callable[[], None]
) -> AsyncIterator[dict[str, Any]]:
    """Enter all resources in their order, and leave them in the reverse one, in the same task.

    `on_closing` is called before the first is left. Raises ResourceFailed if one can't be
    entered, and what leaving one raises, when those that were entered have been left.
    """
    not_opened: BaseException | None = None
    async with AsyncExitStack() as stack:
        try:
            try:
                resources = await _enter_all(openers, stack)
            except BaseException as error:
                not_opened = error
                raise
            yield resources
        finally:
            on_closing()
    if not_opened is not None:  # one that was open has swallowed it, while it closed
        raise not_opened


async def _enter_all(openers: Mapping[str, OpenResource], stack: AsyncExitStack) -> dict[str, Any]:
    resources = {}
    for name, opener in openers.items():
        try:
            resources[name] = await stack.enter_async_context(as_context_manager(opener()))
        except BaseException as error:
            if interruption_in(error) is not None:
                raise
            raise ResourceFailed(f"resource {name}: {describe(error)}") from error
    return resources


def as_context_manager(made: Any) -> AbstractAsyncContextManager[Any]:
    """What a function of the application gave, as something to enter.

    Raises TypeError if it can't be entered.
    """
    # A wrapper around an async generator function looks like any other function until it is called.
    if inspect.isasyncgen(made):
        return asynccontextmanager(lambda: made)()
    if not isinstance(made, AbstractAsyncContextManager):
        raise TypeError(
            f"its function gave a {type(made).__name__}, which is no async context manager: write "
            "an async def that yields"
        )
    return made
