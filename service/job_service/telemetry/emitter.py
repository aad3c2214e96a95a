"""Tells each observer of each event, and lets none of them harm the teller."""

import traceback
from collections.abc import Callable

from job_service.telemetry.events import Event, ObserverDetached, utc_now
from job_service.telemetry.text import printable

Observer = Callable[[Event], None]


class Emitter:
    """Call it with an event; every observer has heard it when the call returns.

    Observers are called in their order, on the caller's task, without a checkpoint. One that
    raises is detached, and the others are told so by an `observer_detached` event.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __call__(self, event: Event) -> None:
        observers = self._observers
        for observer in observers:
            if observers is not self._observers and self._is_detached(observer):
                continue  # for what it did when told that another one was
            try:
                observer(event)
            except Exception as error:
                self._detach(observer, error)

    def tell_only(self, observer: Observer) -> None:
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
