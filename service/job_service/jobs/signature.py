"""Reads what a handler's parameters ask for: the payload, the context, and resources."""

import inspect
import typing
from collections.abc import Callable, Container, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from job_service.jobs.annotations import annotations_of, signature_of
from job_service.jobs.context import JobContext
from job_service.jobs.failure import describe

_CALLABLE_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Signature(NamedTuple):
    """The parameters of a handler by what they receive, None where there is none.

    `decoder` gives the payload; where there is no parameter for it, it takes null only.
    """

    payload: str | None
    decoder: msgspec.json.Decoder[Any]
    context: str | None
    resources: tuple[str, ...]


def read_signature(handler: Callable[..., Any], resources: Container[str] = ()) -> Signature:
    """What `handler` takes. Raises TypeError where no job can be handled with it."""
    parameters = signature_of(handler).parameters
    annotations = _read_annotations(handler, parameters)
    contexts = [name for name in parameters if annotations.get(name) is JobContext]
    others = [name for name in parameters if name not in contexts]
    payloads = [name for name in others if name not in resources]
    if (
        inspect.isgeneratorfunction(handler)
        or inspect.isasyncgenfunction(handler)
        or len(contexts) > 1
        or any(parameter.kind not in _CALLABLE_BY_NAME for parameter in parameters.values())
    ):
        signature = ", ".join(map(str, parameters.values()))
        raise TypeError(
            f"{handler.__qualname__}({signature}) can't handle jobs: a handler takes a payload "
            "and a parameter annotated JobContext, each at most once, and resources that were "
            "registered before it, and returns"
        )
    if len(payloads) > 1:
        problem = "is no resource registered so far, and a handler takes one payload"
        raise _bad_parameter(handler, payloads[1], problem)
    payload = payloads[0] if payloads else None
    payload_type = annotations.get(payload, Any) if payload else None
    try:
        decoder = msgspec.json.Decoder(payload_type)
    except Exception as error:
        raise _bad_parameter(handler, payload, f"can't be a payload: {error}") from error
    return Signature(
        payload=payload,
        decoder=decoder,
        context=contexts[0] if contexts else None,
        resources=tuple(name for name in others if name in resources),
    )


def _read_annotations(handler: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(handler)
    except Exception:
        names_in = getattr(inspect.unwrap(handler), "__globals__", {})
        for name in (*names, "return"):
            annotation = annotations_of(handler).get(name)
            one = SimpleNamespace(__annotations__={name: annotation})
            try:
                typing.get_type_hints(one, names_in)
            except Exception as error:
                problem = f"has an annotation that can't be read: {describe(error)}"
                raise _bad_parameter(handler, name, problem) from error
        raise


def _bad_parameter(handler: Callable[..., Any], name: str | None, problem: str) -> TypeError:
    signature = ", ".join(signature_of(handler).parameters)
    return TypeError(f"{handler.__qualname__}({signature}): {name!r} {problem}")
