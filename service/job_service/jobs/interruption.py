"""Tells a handler's own errors from the cancellation and the crashes that must go on."""

import math

import trio


def interruption_in(error: BaseException) -> BaseException | None:
    """What of a handler's error must go on: a crash, or the cancellation of its worker.

    None where it ends just the attempt, as errors and sys.exit() do. So does a cancellation while
    nobody is cancelling, which a handler can have kept from elsewhere; and errors that a handler's
    nursery raises beside its cancellation must not outlive it, or they would end the worker.
    """
    cancellations, rest = _split(error, trio.Cancelled)
    if rest is not None and _split(rest, (Exception, SystemExit))[1] is not None:
        return error
    return cancellations if is_being_cancelled() else None


def is_cancellation(error: BaseException) -> bool:
    """Whether the error is nothing but a cancellation, alone or in groups."""
    return _split(error, trio.Cancelled)[1] is None


def _split(
    error: BaseException, kind: type[BaseException] | tuple[type[BaseException], ...]
) -> tuple[BaseException | None, BaseException | None]:
    """As `BaseExceptionGroup.split`, and for an error that is no group, too."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(kind)
    return (error, None) if isinstance(error, kind) else (None, error)


def is_being_cancelled() -> bool:
    """Whether the next checkpoint of this task raises Cancelled."""
    return trio.current_effective_deadline() == -math.inf
