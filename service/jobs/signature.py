"""Reads what a handler's parameters ask for: the payload, the context, and resources."""

import inspect
import typing
from collections.abc import Callable, Container
from typing import Any, NamedTuple

from service.jobs.context import JobContext

_CALLABLE_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Signature(NamedTuple):
    """The parameters of a handler by what they receive, None where there is none."""

    payload: str | None
    payload_type: Any
    context: str | None
    resources: tuple[str, ...]


def read_signature(handler: Callable[..., Any], resources: Container[str] = ()) -> Signature:
    """What `handler` takes. Raises TypeError where no job can be handled with it."""
    annotations = typing.get_type_hints(handler)
    parameters = inspect.signature(handler).parameters
    contexts = [name for name in parameters if annotations.get(name) is JobContext]
    others = [name for name in parameters if name not in contexts]
    payloads = [name for name in others if name not in resources]
    if (
        inspect.isgeneratorfunction(handler)
        or inspect.isasyncgenfunction(handler)
        or len(contexts) > 1
        or len(payloads) > 1
        or any(parameter.kind not in _CALLABLE_BY_NAME for parameter in parameters.values())
    ):
        signature = ", ".join(map(str, parameters.values()))
        raise TypeError(
            f"{handler.__qualname__}({signature}) can't handle jobs: a handler takes a payload "
            "and a parameter annotated JobContext, each at most once, and resources that were "
            "registered before it, and returns"
        )
    payload = payloads[0] if payloads else None
    return Signature(
        payload=payload,
        payload_type=annotations.get(payload, Any) if payload else None,
        context=contexts[0] if contexts else None,
        resources=tuple(name for name in others if name in resources),
    )
