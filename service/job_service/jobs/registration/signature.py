"""Reads what a handler's parameters ask for: the payload, the context, and resources."""

import inspect
import types
import typing
from collections.abc import Callable, Container, Iterable
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, NoReturn, Union

import msgspec

from job_service.failures.report import describe
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import (
    annotations_of,
    bound_arguments,
    function_of,
    is_generator,
    name_of,
    place_of,
    place_of_wrapper,
    signature_of,
)
from job_service.jobs.registration.payload import PayloadDecoder, decoder_of
from job_service.jobs.registration.pydantic_models import written_to_be_read
from job_service.json_text.nesting import TOO_DEEP, is_too_deep

_CALLABLE_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_UNIONS = (Union, types.UnionType)

Parameters = dict[str, inspect.Parameter]


class Signature(NamedTuple):
    """Which parameters of a handler receive what; None if none does.

    `decoder` makes the payload; if no parameter receives it, it accepts only null. `absent` is the
    JSON text that stands for a payload which is left out: the parameter's default, or null.
    """

    payload: str | None
    decoder: PayloadDecoder
    absent: bytes
    context: str | None
    resources: tuple[str, ...]


def read_signature(handler: Callable[..., Any], resources: Container[str] = ()) -> Signature:
    """What `handler` takes. Raises TypeError, in one line, if it can't handle jobs."""
    parameters = _parameters_of(handler)
    annotations = _read_annotations(handler, parameters)
    contexts = [name for name in parameters if _is_context(annotations.get(name))]
    others = [name for name in parameters if name not in contexts]
    payloads = [name for name in others if name not in resources]
    _require_fitting(handler, parameters, contexts)
    for name in others:
        if _mentions_context(annotations.get(name)):
            problem = "is for the job's context: annotate it as JobContext, and as nothing else"
            raise _bad_parameter(handler, parameters, name, problem)
    if payloads and payloads[0] in ("self", "cls"):
        raise TypeError(
            f"{name_of(handler)} has no {payloads[0]!r} yet: register the method of an object, as "
            f'in registry.job("name")(mailer.send){place_of(handler)}'
        )
    if len(payloads) > 1:
        problem = "is no resource that is registered yet, and a handler takes only one payload"
        raise _bad_parameter(handler, parameters, payloads[1], problem)
    _require_taken_by_name(handler, parameters)
    payload = payloads[0] if payloads else None
    decoder, absent = _read_payload(handler, parameters, payload, annotations)
    return Signature(
        payload=payload,
        decoder=decoder,
        absent=absent,
        context=contexts[0] if contexts else None,
        resources=tuple(name for name in others if name in resources),
    )


def _parameters_of(handler: Any) -> Parameters:
    if inspect.isclass(handler) or not callable(handler):
        what = "a class" if inspect.isclass(handler) else "not callable"
        raise TypeError(
            f"{name_of(handler)} can't handle jobs: it is {what}; register a function, or an "
            f"object that can be called{place_of(handler)}"
        )
    try:
        parameters = signature_of(handler).parameters
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name_of(handler)} can't handle jobs, because its parameters can't be read: "
            f"register a def that calls it{place_of(handler)}"
        ) from error
    bound = bound_arguments(handler)
    return {name: each for name, each in parameters.items() if name not in bound}


def _require_fitting(
    handler: Callable[..., Any], parameters: Parameters, contexts: list[str]
) -> None:
    kinds = {parameter.kind for parameter in parameters.values()}
    if not is_generator(handler) and len(contexts) <= 1 and kinds <= set(_CALLABLE_BY_NAME):
        return
    signature = ", ".join(map(str, parameters.values()))
    hint = "; a decorator needs functools.wraps" if kinds & set(_VARIADIC) else ""
    raise TypeError(
        f"{name_of(handler)}({signature}) can't handle jobs: a handler takes at most "
        "one payload, one parameter annotated JobContext, and resources that were registered "
        f"before it, all by name; and it is no generator{hint}{place_of(handler)}"
    )


def _require_taken_by_name(handler: Callable[..., Any], parameters: Parameters) -> None:
    """Raise TypeError if what a decorator has put around it has other names for its parameters."""
    try:
        outermost = signature_of(handler, follow_wrapped=False)
    except (TypeError, ValueError):  # a wrapper in C tells nothing of itself, and takes anything
        return
    try:
        outermost.bind(**dict.fromkeys(parameters))
    except TypeError as error:
        taken = [str(each.replace(annotation=each.empty)) for each in outermost.parameters.values()]
        raise TypeError(
            f"{name_of(handler)}({', '.join(parameters)}) can't handle jobs: its parameters are "
            f"given by name, and its decorator made a function of it that takes "
            f"({', '.join(taken)}): let that take *args and **kwargs{place_of_wrapper(handler)}"
        ) from error


def _read_annotations(handler: Callable[..., Any], parameters: Parameters) -> dict[str, Any]:
    function = function_of(handler)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        _explain(handler, function, parameters)


def _explain(handler: Callable[..., Any], function: Any, parameters: Parameters) -> NoReturn:
    """Raise TypeError with the annotation that can't be read."""
    names_in = getattr(function, "__globals__", {})
    for name in (*parameters, "return"):
        annotation = annotations_of(function).get(name)
        one = SimpleNamespace(__annotations__={name: annotation})
        try:
            typing.get_type_hints(one, names_in)
        except Exception as error:
            problem = f"has an annotation that can't be read: {describe(error)}"
            raise _bad_parameter(handler, parameters, name, problem) from error
    raise  # the error that the caller is handling


def _is_context(annotation: Any) -> bool:
    """Whether it is JobContext, also if it is Annotated or may be None."""
    if typing.get_origin(annotation) is Annotated:
        return _is_context(annotation.__origin__)
    if typing.get_origin(annotation) in _UNIONS:
        rest = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        return len(rest) == 1 and _is_context(rest[0])
    return annotation is JobContext


def _mentions_context(annotation: Any) -> bool:
    return (inspect.isclass(annotation) and issubclass(annotation, JobContext)) or any(
        map(_mentions_context, typing.get_args(annotation))
    )


def _read_payload(
    handler: Callable[..., Any],
    parameters: Parameters,
    name: str | None,
    annotations: dict[str, Any],
) -> tuple[PayloadDecoder, bytes]:
    if name is None:
        return msgspec.json.Decoder(None), b"null"
    payload_type, default = annotations.get(name, Any), parameters[name].default
    if default is None:
        payload_type = payload_type | None  # its default allows it, whatever its annotation says
    try:
        decoder = decoder_of(payload_type)
    except TypeError as error:
        raise _bad_parameter(handler, parameters, name, f"can't be a payload: {error}") from error
    if default is inspect.Parameter.empty:
        return decoder, b"null"
    try:
        absent = msgspec.json.encode(default, enc_hook=written_to_be_read)
        if is_too_deep(absent):
            raise ValueError(TOO_DEEP)
        decoder.decode(absent)
    except Exception as error:
        problem = f"has a default that can't be a payload: {describe(error)}"
        raise _bad_parameter(handler, parameters, name, problem) from error
    return decoder, absent


def _bad_parameter(
    handler: Callable[..., Any], names: Iterable[str], name: str, problem: str
) -> TypeError:
    return TypeError(
        f"{name_of(handler)}({', '.join(names)}): {name!r} {problem}{place_of(handler)}"
    )
