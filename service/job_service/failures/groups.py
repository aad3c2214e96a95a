"""Looks at errors, alone or in groups, and runs no code of theirs: it may be broken, or lie."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeGuard, TypeVar, cast

import trio

Kind = TypeVar("Kind", bound=BaseException)


def is_a(error: BaseException, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether an `except` clause of this kind would catch it, whatever its `__class__` says."""
    return type.__subclasscheck__(kind, type(error))


def args_of(error: BaseException) -> tuple[object, ...]:
    """What it was made of."""
    return cast("tuple[object, ...]", _read(BaseException, "args", error))


def traceback_of(error: BaseException) -> TracebackType | None:
    """Where it came from."""
    return cast("TracebackType | None", _read(BaseException, "__traceback__", error))


def causes_of(error: BaseException) -> list[BaseException]:
    """What led to it, at most two errors."""
    both = [_read(BaseException, name, error) for name in ("__cause__", "__context__")]
    return [cause for cause in both if cause is not None]


def members(error: BaseException) -> tuple[BaseException, ...]:
    """What a group holds; of an error that is no group, nothing."""
    if not is_a(error, BaseExceptionGroup):
        return ()
    return cast("tuple[BaseException, ...]", _read(BaseExceptionGroup, "exceptions", error))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, however deep, each once; of an error that is no group, itself."""
    # Each nursery an error passes through wraps it once more, which says nothing about it.
    seen: set[int] = set()
    inside = [iter((error,))]
    while inside:
        for one in inside[-1]:
            if id(one) in seen:  # or thirty groups, each twice in the next, were a billion errors
                continue
            seen.add(id(one))
            if is_a(one, BaseExceptionGroup):
                inside.append(iter(members(one)))
                break
            yield one
        else:
            inside.pop()


def is_cancellation(error: BaseException) -> bool:
    """Whether the error is nothing but Trio's cancellation, alone or in groups."""
    return all(is_a(leaf, trio.Cancelled) for leaf in leaves(error))


def without_cancellation(error: BaseException) -> BaseException:
    """What a group holds beside cancellations, which say no more than that somebody has cancelled.

    The error itself if it holds none, or nothing else.
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
    """What is kept in the error itself, even if its class has another attribute of that name."""
    return kind.__dict__[name].__get__(error)
