"""Calls each observer with each event, and lets no error of theirs reach the caller."""

import traceback
from collections.abc import Callable

from job_service.telemetry.events import Event, ObserverDetached, utc_now
from job_service.telemetry.text import printable

Observer = Callable[[Event], None]


class Emitter:
    """Call it with an event: when the call returns, every observer has had it.

    Observers are called in their order, in the caller's task, without a checkpoint. One that raises
    is detached, and the others get an `observer_detached` event.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __call__(self, event: Event) -> None:
        observers = self._observers
        for observer in observers:
            if observers is not self._observers and self._is_detached(observer):
                continue  # it raised when it heard that another one was detached
            try:
                observer(event)
            except Exception as error:
                self._detach(observer, error)

    def call_only(self, observer: Observer) -> None:
        """Let this observer take the place of all others."""
        self._observers = (observer,)

    def _is_detached(self, observer: Observer) -> bool:
        return not any(observer is other for other in self._observers)

    def _detach(self, observer: Observer, error: Exception) -> None:
        self._observers = tuple(other for other in self._observers if other is not observer)
        self(
            ObserverDetached(
                timestamp=utc_now(),
                observer=getattr(observer, "__qualname__", printable(observer)),
                error=printable(error),
                traceback=printable("".join(traceback.format_exception(error))),
            )
        )
