"""Tells a handler's own errors from the cancellation and the Ctrl-C that must go on."""

import math

import trio

from job_service.errors.groups import is_a, leaves


def interruption_in(error: BaseException) -> BaseException | None:
    """What of a handler's error must go on: a Ctrl-C, or the cancellation of its worker.

    None if the error just ends the attempt, as all others do, whatever they derive from: many
    libraries have an error that is no Exception, and one job's must not end all others. So does a
    cancellation while nobody is cancelling, which a handler can have kept from elsewhere; and
    errors that a handler's nursery raises beside its cancellation must not outlive it.
    """
    cancelled = None
    for leaf in leaves(error):
        if is_a(leaf, KeyboardInterrupt):
            return leaf
        if is_a(leaf, trio.Cancelled):
            cancelled = leaf
    return cancelled if cancelled is not None and is_being_cancelled() else None


def is_being_cancelled() -> bool:
    """Whether the next checkpoint of this task raises Cancelled."""
    return trio.current_effective_deadline() == -math.inf
