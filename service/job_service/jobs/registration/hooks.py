"""What an application runs around every attempt, and what it does when a job has failed."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from inspect import Parameter, isclass
from typing import Any, NamedTuple

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import (
    is_generator,
    kind_of,
    name_of,
    place_of,
    signature_of,
)
from job_service.jobs.registration.resource import context_manager_of
from job_service.jobs.state.detail import JobDetail

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Around(NamedTuple):
    """A hook that is entered before an attempt and left after it."""

    name: str
    function: Callable[..., AbstractAsyncContextManager[Any]]
    resources: tuple[str, ...]

    def open(
        self, context: JobContext, resources: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        """What is to be entered for one attempt."""
        return self.function(context, **{name: resources[name] for name in self.resources})


class OnFailure(NamedTuple):
    """A hook that is called when a job has failed for good; in a thread if it `may_block`."""

    name: str
    function: Callable[..., Any]
    resources: tuple[str, ...]
    may_block: bool

    def call(self, job: JobDetail, error: BaseException, resources: Mapping[str, Any]) -> Any:
        """What the function gives, which may have to be awaited."""
        return self.function(job, error, **{name: resources[name] for name in self.resources})


class Hooks(NamedTuple):
    """The hooks of a job type, or of a registry, in their order."""

    around: tuple[Around, ...] = ()
    on_failure: tuple[OnFailure, ...] = ()

    def within(self, outer: "Hooks") -> "Hooks":
        """All of both, the outer ones first."""
        return Hooks(outer.around + self.around, outer.on_failure + self.on_failure)


def around_of(function: Any, resources: Collection[str]) -> Around:
    """The hook of `@registry.around`. Raises TypeError if the function can't be one."""
    opener = context_manager_of(function, "a hook")
    taken = _resources_of(function, ("the job's context",), resources)
    return Around(name_of(function), opener, taken)


def on_failure_of(function: Any, resources: Collection[str]) -> OnFailure:
    """The hook of `@registry.on_failure`. Raises TypeError if the function can't be one."""
    if not callable(function) or isclass(function) or is_generator(function):
        raise TypeError(
            f"{name_of(function)} can't be a hook for failures: it must be a def or an async def"
            f"{place_of(function)}"
        )
    taken = _resources_of(function, ("the job", "the error"), resources)
    return OnFailure(name_of(function), function, taken, kind_of(function) == "plain")


def _resources_of(
    function: Any, given: tuple[str, ...], resources: Collection[str]
) -> tuple[str, ...]:
    """Which resources it takes beside what it is `given` by position. Raises TypeError."""
    parameters = list(signature_of(function).parameters.values())
    first, others = parameters[: len(given)], parameters[len(given) :]
    if len(first) < len(given) or any(each.kind not in _BY_POSITION for each in first):
        raise TypeError(
            f"the hook {name_of(function)} must take {' and '.join(given)}, by position"
            f"{place_of(function)}"
        )
    unknown = [
        each.name
        for each in others
        if each.name not in resources and each.default is each.empty and each.kind not in _VARIADIC
    ]
    if unknown:
        raise TypeError(
            f"nothing gives the hook {name_of(function)} its {', '.join(unknown)}: that is no "
            f"resource that is registered yet{place_of(function)}"
        )
    return tuple(each.name for each in others if each.name in resources)
