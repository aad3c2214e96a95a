"""Looks into a handler: the function behind it, its kind, its parameters and its place."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

Kind = Literal["async", "plain", "wrapper"]

# From Python 3.14 on, annotations are evaluated when they are first read, and may then fail: they
# may name what does not exist, or what is imported only for type checkers.
if sys.version_info >= (3, 14):
    from annotationlib import Format, get_annotations

    def signature_of(
        function: Callable[..., Any], *, follow_wrapped: bool = True
    ) -> inspect.Signature:
        """Its signature, with a forward reference for each annotation that can't be evaluated."""
        return inspect.signature(
            function, follow_wrapped=follow_wrapped, annotation_format=Format.FORWARDREF
        )

    def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
        """Its annotations, with a forward reference for each that can't be evaluated."""
        return get_annotations(function, format=Format.FORWARDREF)

else:

    def signature_of(
        function: Callable[..., Any], *, follow_wrapped: bool = True
    ) -> inspect.Signature:
        """Its signature, with its annotations as they were written or evaluated."""
        return inspect.signature(function, follow_wrapped=follow_wrapped)

    def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
        """Its annotations, as they were written or evaluated."""
        return getattr(function, "__annotations__", {})


def function_of(handler: Any) -> Any:
    """The function or class behind partials, wrappers, and objects that can be called.

    It has the annotations that the handler was written with.
    """
    *_, innermost = _layers(handler)
    return innermost


def kind_of(handler: Any) -> Kind:
    """Whether a call gives a coroutine: `async` gives one, `plain` does not, `wrapper` may.

    A wrapper is a plain function around an async one, made with `functools.wraps`. It usually gives
    the coroutine of the async function, but it may also have run that to its end.
    """
    if inspect.iscoroutinefunction(_called(handler)):
        return "async"
    return "wrapper" if inspect.iscoroutinefunction(function_of(handler)) else "plain"


def is_generator(handler: Any) -> bool:
    """Whether a call gives a generator, which nobody would run."""
    return _makes_generator(_called(handler))


def wraps_generator(handler: Any) -> bool:
    """Whether it is a plain wrapper around a generator function, and so may give a generator."""
    return kind_of(handler) == "plain" and _makes_generator(function_of(handler))


def bound_arguments(handler: Any) -> Mapping[str, Any]:
    """The keyword arguments that partials have bound already, in any layer."""
    partials = [layer for layer in _layers(handler) if isinstance(layer, functools.partial)]
    return {name: value for each in partials for name, value in each.keywords.items()}


def awaited(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """An async function that calls the wrapper, and awaits what it gives if need be."""

    @functools.wraps(wrapper)
    async def handler(**arguments: Any) -> Any:
        result = wrapper(**arguments)
        return await result if inspect.isawaitable(result) else result

    return handler


def boxed(handler: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Any]:
    """What the handler gives, in a list, because a Trio thread may not return a coroutine."""
    return [handler(**arguments)]


def name_of(handler: Any) -> str:
    """What errors call it."""
    return getattr(function_of(handler), "__qualname__", None) or repr(handler)


def own_name_of(function: Callable[..., Any], hint: str) -> str:
    """The name of the function behind it. Raises TypeError, with `hint`, if it has none.

    A lambda has none, nor has an object that can be called.
    """
    name = getattr(function_of(function), "__name__", "")
    if name.isidentifier() and name != "__call__":
        return str(name)
    raise TypeError(f"{name_of(function)} has no name to go by: {hint}{place_of(function)}")


def place_of(handler: Any) -> str:
    """` (file:line)`, to end an error with; empty if there is no source."""
    return _place_of(function_of(handler))


def place_of_wrapper(handler: Any) -> str:
    """The same for what runs first when it is called, which a decorator may have made."""
    return _place_of(_called(handler))


def _place_of(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code else ""


def _called(handler: Any) -> Any:
    """The layer that runs first when the handler is called."""
    return next(
        layer
        for layer in _layers(handler)
        if not isinstance(layer, functools.partial | staticmethod)
        and (hasattr(layer, "__wrapped__") or _is_innermost(layer))
    )


def _makes_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _layers(handler: Any) -> Iterator[Any]:
    """The handler, what it calls, what that calls, and so on to a function or a class."""
    seen = set[int]()
    while id(handler) not in seen:
        seen.add(id(handler))
        yield handler
        handler = _within(handler)


def _within(handler: Any) -> Any:
    if isinstance(handler, functools.partial):
        return handler.func
    if isinstance(handler, staticmethod):
        return handler.__func__
    if hasattr(handler, "__wrapped__"):
        return handler.__wrapped__
    return handler if _is_innermost(handler) else type(handler).__call__


def _is_innermost(handler: Any) -> bool:
    return inspect.isroutine(handler) or inspect.isclass(handler) or not callable(handler)
