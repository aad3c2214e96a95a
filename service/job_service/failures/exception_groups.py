"""Looks into errors and groups without running code of theirs, which may be broken or lie."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeGuard, TypeVar, cast

import trio

Kind = TypeVar("Kind")


def is_a(value: object, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether it is of this kind, as an `except` clause sees it, whatever its `__class__` says."""
    return type.__subclasscheck__(kind, type(value))


def args_of(error: BaseException) -> tuple[object, ...]:
    """The arguments that it was made with."""
    return cast("tuple[object, ...]", _read(BaseException, "args", error))


def traceback_of(error: BaseException) -> TracebackType | None:
    """Its traceback, if it has one."""
    return cast("TracebackType | None", _read(BaseException, "__traceback__", error))


def causes_of(error: BaseException) -> list[BaseException]:
    """Its `__cause__` and its `__context__`, those that there are."""
    both = [_read(BaseException, name, error) for name in ("__cause__", "__context__")]
    return [cause for cause in both if cause is not None]


def members(error: BaseException) -> tuple[BaseException, ...]:
    """The errors directly in a group; none if the error is no group."""
    if not is_a(error, BaseExceptionGroup):
        return ()
    return cast("tuple[BaseException, ...]", _read(BaseExceptionGroup, "exceptions", error))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """All errors in a group, however deep, each once; the error itself if it is no group."""
    # Groups in groups mean nothing: each nursery that an error passes through adds one.
    seen: set[int] = set()
    inside = [iter((error,))]
    while inside:
        for one in inside[-1]:
            if id(one) in seen:  # thirty groups, each twice in the next, would be a billion errors
                continue
            seen.add(id(one))
            if is_a(one, BaseExceptionGroup):
                inside.append(iter(members(one)))
                break
            yield one
        else:
            inside.pop()


def is_cancellation(error: BaseException) -> bool:
    """Whether it is trio.Cancelled, or a group of nothing else."""
    return all(is_a(leaf, trio.Cancelled) for leaf in leaves(error))


def without_cancellation(error: BaseException) -> BaseException:
    """A group without the cancellations in it, which say nothing of what went wrong.

    The error itself if it is no group, if no cancellation is in it, or if nothing else is.
    """
    if not is_a(error, BaseExceptionGroup):
        return error
    every = list(leaves(error))
    others = [leaf for leaf in every if not is_a(leaf, trio.Cancelled)]
    if not others or len(others) == len(every):
        return error
    if len(others) == 1:
        return others[0]
    return BaseExceptionGroup("beside a cancellation", others).with_traceback(traceback_of(error))


def _read(kind: type, name: str, error: BaseException) -> Any:
    """An attribute as the built-in class keeps it, even if the error's own class hides it."""
    return kind.__dict__[name].__get__(error)
