"""What makes a resource, such as a connection pool, that handlers share."""

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, NamedTuple

from job_service.jobs.registration.handler import name_of, place_of, signature_of
from job_service.jobs.registration.placement import require_sendable

OpenResource = Callable[[], AbstractAsyncContextManager[Any]]
ResourcePlace = Literal["loop", "process", "asyncio"]


class RegisteredResource(NamedTuple):
    """How a resource is opened, and where: once on a loop, or once in each process."""

    open: Callable[[], Any]
    runs_in: ResourcePlace


def resource_of(function: Any, runs_in: object) -> RegisteredResource:
    """The resource that `function` is. Raises TypeError, or ValueError, if it can't be one."""
    if runs_in == "loop" or runs_in == "asyncio":
        return RegisteredResource(opener_of(function), runs_in)
    if runs_in == "process":
        return RegisteredResource(process_opener_of(function), "process")
    raise ValueError(
        f"runs_in of a resource must be 'loop', 'process' or 'asyncio', not {runs_in!r}"
    )


def opener_of(resource: Any) -> OpenResource:
    """How `resource` is opened. Raises TypeError if it can't be one."""
    opener = context_manager_of(resource, "a resource")
    _require_no_parameters(resource)
    return opener


def process_opener_of(resource: Any) -> Callable[[], Any]:
    """How `resource` is opened in a process. Raises TypeError if it can't be there."""
    if (
        not inspect.isfunction(resource)
        or inspect.iscoroutinefunction(resource)
        or inspect.isasyncgenfunction(resource)
    ):
        raise TypeError(
            f"{name_of(resource)} can't be a resource of processes: it must be a generator "
            f"function, or a function that returns a context manager{place_of(resource)}"
        )
    _require_no_parameters(resource)
    require_sendable(resource)
    return resource


def _require_no_parameters(resource: Any) -> None:
    required = [
        name
        for name, parameter in signature_of(resource).parameters.items()
        if parameter.default is parameter.empty
    ]
    if required:
        raise TypeError(
            f"the resource {name_of(resource)} can't have parameters without defaults, because "
            f"nothing gives it {', '.join(required)}{place_of(resource)}"
        )


def context_manager_of(function: Any, what: str) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """A function that gives an async context manager. Raises TypeError if it can't be `what`."""
    if (
        not callable(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
    ):
        raise TypeError(
            f"{name_of(function)} can't be {what}: it must be an async generator function, or "
            f"return an async context manager{place_of(function)}"
        )
    return asynccontextmanager(function) if inspect.isasyncgenfunction(function) else function
