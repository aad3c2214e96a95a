"""What makes a resource, such as a connection pool, that handlers share."""

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from job_service.jobs.registration.handler import name_of, place_of, signature_of

OpenResource = Callable[[], AbstractAsyncContextManager[Any]]


def opener_of(resource: Any) -> OpenResource:
    """How `resource` is opened. Raises TypeError if it can't be one."""
    opener = context_manager_of(resource, "a resource")
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
    return opener


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
