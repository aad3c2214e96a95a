"""Takes an error out of the groups that nurseries put around it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import trio

from job_service.failures.exception_groups import is_a, leaves


@contextmanager
def ungrouped(own: Sequence[BaseException] = ()) -> Iterator[None]:
    """Raise what went wrong in the block instead of a group around it, if it is one thing.

    It is one of `own` if there is nothing else in the group, even if that is a group itself, which
    the reader's own nursery has made; or else the only error in the group. It is raised as it was.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        error = only_error_in(group, own)
    else:
        return
    raise_as_it_was(error)


def only_error_in(group: BaseException, own: Sequence[BaseException] = ()) -> BaseException:
    """One of `own` that is all there is in the group, or its only error; else the group."""
    inside = _errors_in(group)
    return next((each for each in (*own, *inside) if _errors_in(each) == inside), group)


def raise_as_it_was(error: BaseException) -> NoReturn:
    """Raise it without a mention of what is being handled, such as a group that it was in."""
    __tracebackhide__ = True
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error


def _errors_in(error: BaseException) -> list[BaseException]:
    return [leaf for leaf in leaves(error) if not is_a(leaf, trio.Cancelled)]
