"""Tells each listener of each event, and lets no error of theirs reach the caller."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable

from job_service.telemetry.events import Event, ObserverDetached, utc_now
from job_service.telemetry.text import printable

Observer = Callable[[Event], None]


class Listener(ABC):
    """Somebody who listens to some kinds of events, or to each kind in its own way."""

    @abstractmethod
    def observer_of(self, kind: type[Event]) -> Observer | None:
        """What to call with each event of this kind; None if it does not listen to them."""

    def observe(self, event: Event) -> None:
        """Hear one event."""
        observer = self.observer_of(type(event))
        if observer is not None:
            observer(event)


class Emitter:
    """When `emit` returns, all who listen to an event of this kind have had it.

    They are called in their order, in the caller's task, without a checkpoint. A function listens
    to all events. A listener is asked once for each kind, so what it does not listen to costs
    nothing. One that raises is detached, and the others get an `observer_detached` event.
    """

    def __init__(self, *listeners: Listener | Observer) -> None:
        self._listeners = listeners
        self._observers: dict[type[Event], tuple[Observer, ...]] = {}  # of the kinds so far

    def emit(self, event: Event) -> None:
        """Tell all who listen."""
        try:
            observers = self._observers[type(event)]
        except KeyError:
            observers = self._ask(type(event))
        failures: tuple[tuple[Observer, Exception], ...] = ()
        for observer in observers:
            try:
                observer(event)
            except Exception as error:
                failures += ((observer, error),)
        if failures:
            self._detach(type(event), failures)

    def call_only(self, observer: Observer) -> None:
        """Let this observer take the place of all others."""
        self._listeners, self._observers = (observer,), {}

    def _ask(self, kind: type[Event]) -> tuple[Observer, ...]:
        asked = [_observer_of(listener, kind) for listener in self._listeners]
        observers = self._observers[kind] = tuple(each for each in asked if each is not None)
        return observers

    def _detach(self, kind: type[Event], failures: tuple[tuple[Observer, Exception], ...]) -> None:
        failed = [observer for observer, _ in failures]
        self._listeners = tuple(
            listener for listener in self._listeners if _observer_of(listener, kind) not in failed
        )
        self._observers = {}
        for observer, error in failures:
            self.emit(
                ObserverDetached(
                    timestamp=utc_now(),
                    observer=getattr(observer, "__qualname__", printable(observer)),
                    error=printable(error),
                    traceback=printable("".join(traceback.format_exception(error))),
                )
            )


def _observer_of(listener: Listener | Observer, kind: type[Event]) -> Observer | None:
    return listener.observer_of(kind) if isinstance(listener, Listener) else listener
