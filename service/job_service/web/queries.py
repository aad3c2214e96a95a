"""Queries as structs: a route declares one, and is given the query of each request as such.

A parameter that is unknown, repeated, missing or out of its limits is refused. If a misspelt one
were passed over, the call would do something else than its client wants.
"""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from types import UnionType
from typing import (
    Annotated,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import msgspec
from msgspec import Struct, structs
from quart import Response, request

from job_service.jobs.queueing.constraints import must_be
from job_service.web.problems import malformed

# As JSON writes them, but for leading zeros; Python's int and float would take "1_0" and "٣", too.
_NUMBERS: Final[dict[Any, re.Pattern[str]]] = {
    int: re.compile(r"[0-9]{1,18}"),
    float: re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"),
}
_SHOWN_CHARS: Final = 100


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a call that takes no parameters. Others add a field for each of theirs.

    A field is annotated with its `constraint`. A list may be given as one parameter with commas,
    repeated, or both; a list of texts, which may have commas themselves, only repeated.
    """


class AnyQuery(Query, frozen=True, forbid_unknown_fields=False):
    """A query that is passed over."""


Q = TypeVar("Q", bound=Query)
P = ParamSpec("P")
Route = Callable[P, Awaitable[Response]]


def takes(kind: type[Q]) -> Callable[[Route[Concatenate[Q, P]]], Route[P]]:
    """Give a route the query of the request, as its first argument. Others take no query at all."""
    parameters = {field.encode_name: field for field in structs.fields(kind)}

    def decorate(route: Route[Concatenate[Q, P]]) -> Route[P]:
        @wraps(route)
        async def with_query(*args: P.args, **kwargs: P.kwargs) -> Response:
            return await route(_read(kind, parameters), *args, **kwargs)

        vars(with_query)["query"] = kind
        return with_query

    return decorate


def query_of(route: Callable[..., Any]) -> type[Query]:
    """What a route takes."""
    kind: type[Query] = vars(route).get("query", Query)
    return kind


def check_query(route: Callable[..., Any]) -> None:
    """Raise Problem, 400, if the present request has a query and the route takes none."""
    if request.query_string and query_of(route) is Query:
        _read(Query, {})


def _read(kind: type[Q], parameters: dict[str, structs.FieldInfo]) -> Q:
    """The query of the present request. Raises Problem, 400."""
    values = {}
    for name, texts in request.args.lists():
        if name in parameters:
            values[name] = _value(parameters[name], texts)
        elif kind.__struct_config__.forbid_unknown_fields:
            known = f"known: {', '.join(parameters)}" if parameters else "this call takes none"
            raise malformed(f"unknown query parameter {_shown(name)}; {known}")
    for name, parameter in parameters.items():
        if parameter.required and name not in values:
            raise malformed(f"{name} must be {must_be(parameter.type)}")
    return kind(**values)


def _value(parameter: structs.FieldInfo, texts: list[str]) -> Any:
    name, plain = parameter.encode_name, _plain(parameter.type)
    value: object = texts[0]
    if get_origin(plain) is list:
        is_of_texts = get_args(plain) == (str,)
        value = texts if is_of_texts else [part for text in texts for part in text.split(",")]
    elif len(texts) > 1:
        raise malformed(f"query parameter {_shown(name)} is given more than once")
    elif plain in _NUMBERS and _NUMBERS[plain].fullmatch(texts[0]):
        value = plain(texts[0])
    try:
        return msgspec.convert(value, parameter.type)
    except msgspec.ValidationError as error:
        raise malformed(f"{name} must be {must_be(parameter.type)}") from error


def _plain(annotation: Any) -> Any:
    """The type itself, without its limits and the None that stands for its absence."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _plain(get_args(annotation)[0])
    return annotation


def _shown(name: str) -> str:
    return repr(name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…")
