"""What a handler is made of: the function behind it, whether it is asynchronous, where it is."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

Kind = Literal["async", "plain", "wrapper"]


def function_of(handler: Any) -> Any:
    """What is behind partials, wrappers, and objects that can be called: a function, or a class.

    It has the annotations that the handler was written with.
    """
    *_, innermost = _layers(handler)
    return innermost


def kind_of(handler: Any) -> Kind:
    """Whether calling it gives a coroutine: `async` does, `plain` does not, `wrapper` may.

    A wrapper is a plain function around an async one, made with `functools.wraps`. Mostly it gives
    the coroutine of that one; but it may also have run it, to the end.
    """
    if inspect.iscoroutinefunction(_called(handler)):
        return "async"
    return "wrapper" if inspect.iscoroutinefunction(function_of(handler)) else "plain"


def is_generator(handler: Any) -> bool:
    """Whether calling it would give a generator, which nobody would run."""
    return _makes_generator(_called(handler))


def wraps_generator(handler: Any) -> bool:
    """Whether it is a plain wrapper of such a one, which mostly gives what that gives."""
    return kind_of(handler) == "plain" and _makes_generator(function_of(handler))


def bound_arguments(handler: Any) -> Mapping[str, Any]:
    """The keyword arguments that partials have settled, wherever they are."""
    partials = [layer for layer in _layers(handler) if isinstance(layer, functools.partial)]
    return {name: value for each in partials for name, value in each.keywords.items()}


def awaited(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """An async function in the place of a wrapper, for the loop."""

    @functools.wraps(wrapper)
    async def handler(**arguments: Any) -> Any:
        result = wrapper(**arguments)
        return await result if inspect.isawaitable(result) else result

    return handler


def boxed(handler: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Any]:
    """What it gives, in a list: for the loop to await, Trio's threads don't let a coroutine out."""
    return [handler(**arguments)]


def name_of(handler: Any) -> str:
    """What to call it in an error."""
    return getattr(function_of(handler), "__qualname__", None) or repr(handler)


def place_of(handler: Any) -> str:
    """` (file:line)`, to go behind an error; nothing if it has no source."""
    code = getattr(function_of(handler), "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code else ""


def _called(handler: Any) -> Any:
    """What runs first when it is called."""
    return next(
        layer
        for layer in _layers(handler)
        if not isinstance(layer, functools.partial | staticmethod)
        and (hasattr(layer, "__wrapped__") or _is_innermost(layer))
    )


def _makes_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _layers(handler: Any) -> Iterator[Any]:
    """The handler, what it calls, what that calls, and so on to a function, or a class."""
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
