"""What a handler is made of: the function behind it, whether it is asynchronous, where it is."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

Kind = Literal["async", "plain", "wrapper"]


def function_of(handler: Any) -> Any:
    """What is behind partials, wrappers, and objects that can be called: a function, or a class.

    It has the annotations that the handler was written with.
    """
    called, seen = _called(handler), set[int]()
    while hasattr(called, "__wrapped__") and id(called) not in seen:
        seen.add(id(called))
        called = _called(called.__wrapped__)
    return called


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
    called = _called(handler)
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def bound_arguments(handler: Any) -> Mapping[str, Any]:
    """The keyword arguments that partials have settled."""
    return handler.keywords if isinstance(handler, functools.partial) else {}


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
    while True:
        if isinstance(handler, functools.partial):  # which merges those inside it
            handler = handler.func
        elif isinstance(handler, staticmethod):
            handler = handler.__func__
        elif (
            inspect.isroutine(handler)
            or inspect.isclass(handler)
            or hasattr(handler, "__wrapped__")
        ):
            return handler
        else:
            return type(handler).__call__ if callable(handler) else handler
