"""Looks at errors, alone or in groups, and runs no code of theirs: it may be broken, or lie."""

from collections.abc import Iterator
from typing import TypeGuard, TypeVar

import trio

Kind = TypeVar("Kind", bound=BaseException)


def is_a(error: BaseException, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether an `except` clause of this kind would catch it, whatever its `__class__` says."""
    return type.__subclasscheck__(kind, type(error))


def members(error: BaseException) -> tuple[BaseException, ...]:
    """What a group holds; of an error that is no group, nothing."""
    if not is_a(error, BaseExceptionGroup):
        return ()
    held: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(error)
    return held


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, however deep, each once; of an error that is no group, itself."""
    # Each nursery an error passes through wraps it once more, which says nothing about it.
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        next_one = waiting.pop()
        if id(next_one) in seen:  # or thirty groups, each twice in the next, were a billion errors
            continue
        seen.add(id(next_one))
        if is_a(next_one, BaseExceptionGroup):
            waiting.extend(reversed(members(next_one)))
        else:
            yield next_one


def is_cancellation(error: BaseException) -> bool:
    """Whether the error is nothing but Trio's cancellation, alone or in groups."""
    return all(is_a(leaf, trio.Cancelled) for leaf in leaves(error))
