"""What makes a resource, such as a connection pool, that handlers share."""

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from job_service.jobs.registration.handler import name_of, place_of, signature_of

OpenResource = Callable[[], AbstractAsyncContextManager[Any]]


def opener_of(resource: Any) -> OpenResource:
    """How `resource` is opened. Raises TypeError if it can't be one."""
    if (
        not callable(resource)
        or inspect.iscoroutinefunction(resource)
        or inspect.isgeneratorfunction(resource)
    ):
        raise TypeError(
            f"{name_of(resource)} can't be a resource: it must be an async generator function, or "
            f"return an async context manager{place_of(resource)}"
        )
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
    return asynccontextmanager(resource) if inspect.isasyncgenfunction(resource) else resource
