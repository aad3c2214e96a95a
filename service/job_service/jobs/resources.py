"""What handlers share, such as a pool of connections: opened before the workers, closed after."""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from job_service.errors.failure import describe
from job_service.jobs.annotations import signature_of
from job_service.jobs.handler import name_of, place_of
from job_service.jobs.interruption import interruption_in

OpenResource = Callable[[], AbstractAsyncContextManager[Any]]


class ResourceFailed(Exception):
    """A resource could not be opened, for the error that this is raised from."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(f"resource {name}: {describe(error)}")


def opener_of(resource: Any) -> OpenResource:
    """How `resource` is opened. Raises TypeError where it is not what makes a resource."""
    if (
        not callable(resource)
        or inspect.iscoroutinefunction(resource)
        or inspect.isgeneratorfunction(resource)
    ):
        raise TypeError(
            f"{name_of(resource)} is no resource: it must be an async generator function, or "
            f"return an async context manager{place_of(resource)}"
        )
    required = [
        name
        for name, parameter in signature_of(resource).parameters.items()
        if parameter.default is parameter.empty
    ]
    if required:
        raise TypeError(
            f"the resource {name_of(resource)} must not have parameters, unless they have "
            f"defaults: nobody gives it {', '.join(required)}{place_of(resource)}"
        )
    return asynccontextmanager(resource) if inspect.isasyncgenfunction(resource) else resource


@asynccontextmanager
async def open_resources(
    openers: Mapping[str, OpenResource], on_closing: Callable[[], None]
) -> AsyncIterator[dict[str, Any]]:
    """Enter all resources in their order, and leave them in the reverse one, in the same task.

    `on_closing` is called before the first is left. Raises ResourceFailed where one can't be
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
            resources[name] = await stack.enter_async_context(_opening(opener()))
        except BaseException as error:
            if interruption_in(error) is not None:
                raise
            raise ResourceFailed(name, error) from error
    return resources


def _opening(made: Any) -> AbstractAsyncContextManager[Any]:
    # A wrapper around an async generator function looks like any other function until it is called.
    if inspect.isasyncgen(made):
        return asynccontextmanager(lambda: made)()
    if not isinstance(made, AbstractAsyncContextManager):
        raise TypeError(
            f"its function gave a {type(made).__name__}, which is no async context manager: write "
            "an async def that yields"
        )
    return made
