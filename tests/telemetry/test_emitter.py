"""What observers can rely on, and that none of them can harm whoever tells them."""

from collections.abc import Callable
from functools import partial
from itertools import permutations

import pytest

from job_service.telemetry.emitter import Emitter
from job_service.telemetry.events import Event, JobCreated, JobStarted, ObserverDetached
from job_service.telemetry.log import Log
from tests.conftest import Record
from tests.telemetry.sample import sample

CREATED = sample(JobCreated)
STARTED = sample(JobStarted)


class Broken:
    """An observer that raises on events of some kind, and keeps all it heard."""

    def __init__(self, on: type[Event] = Event, error: BaseException | None = None) -> None:
        self.heard: list[str] = []
        self._on = on
        self._error = error or ValueError("no room left")

    def observe(self, event: Event) -> None:
        """Keep the event, and raise on its kind."""
        self.heard.append(event.event)
        if isinstance(event, self._on):
            raise self._error


class Unprintable(Exception):
    """An error that can't even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


def detached(record: Record) -> list[str]:
    """The observers that were detached according to `record`, sorted."""
    return sorted(event.observer for event in record.of(ObserverDetached))


def test_every_observer_hears_every_event_in_order() -> None:
    """Each event reaches all observers, in their order, before the next one does."""
    heard: list[tuple[str, Event]] = []

    def listener(name: str) -> Callable[[Event], None]:
        return lambda event: heard.append((name, event))

    emit = Emitter(listener("metrics"), listener("log"), listener("feed")).emit
    emit(CREATED)
    emit(STARTED)
    names = ["metrics", "log", "feed"]
    assert heard == [(name, event) for event in (CREATED, STARTED) for name in names]


def test_without_observers_nothing_happens() -> None:
    """A service that nobody listens to can still say things."""
    Emitter().emit(CREATED)


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "middle", "last"])
def test_an_observer_that_raises_is_detached_and_the_others_go_on(position: int) -> None:
    """The others hear the event, that one was detached, and everything after; it hears no more."""
    broken = Broken()
    others = [Record(), Record()]
    observers = [record.observe for record in others]
    observers.insert(position, broken.observe)
    emit = Emitter(*observers).emit

    emit(CREATED)
    emit(STARTED)

    assert broken.heard == ["job_created"]
    for record in others:
        assert sorted(record.names()[:2]) == ["job_created", "observer_detached"]
        assert record.names()[2:] == ["job_started"]


def test_the_report_tells_which_observer_and_why() -> None:
    """`observer_detached` names the observer, its error, and where it was raised."""
    record = Record()
    Emitter(Broken().observe, record.observe).emit(CREATED)
    (report,) = record.of(ObserverDetached)
    assert report.level == "error"
    assert report.observer == "Broken.observe"
    assert report.error == "ValueError('no room left')"
    assert report.traceback.startswith("Traceback (most recent call last):\n")
    assert "in observe\n" in report.traceback
    assert report.traceback.endswith("ValueError: no room left\n")


def test_an_observer_without_a_name_is_reported_too() -> None:
    """Any callable can observe; one that has no name is shown as Python shows it."""

    broken = partial(Broken().observe)
    record = Record()
    Emitter(broken, record.observe).emit(CREATED)
    assert detached(record) == [repr(broken)]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_an_observer_that_raises_on_the_report_is_detached_too(order: tuple[int, ...]) -> None:
    """If the report of one breaks another, both are reported once, and then hear no more."""
    first, second, record = Broken(), Broken(on=ObserverDetached), Record()
    observers = [first.observe, second.observe, record.observe]
    emit = Emitter(*[observers[position] for position in order]).emit

    emit(CREATED)
    told = len(second.heard)
    emit(STARTED)

    assert first.heard == ["job_created"]
    assert second.heard[-1] == "observer_detached", "it hears nothing after it raised"
    assert len(second.heard) == told
    assert detached(record) == ["Broken.observe", "Broken.observe"]
    assert record.names().count("job_created") == 1
    assert record.names()[-1] == "job_started"


def test_observers_that_all_raise_are_each_reported_once() -> None:
    """Several that break at one event are each reported once, to whoever still listens."""
    broken, record = [Broken(), Broken()], Record()
    emit = Emitter(*[each.observe for each in broken], record.observe).emit
    emit(CREATED)
    emit(STARTED)
    assert [len(each.heard) for each in broken] == [1, 1]
    assert len(detached(record)) == 2


def test_when_all_observers_are_gone_emitting_goes_on() -> None:
    """With nobody left to listen, the service still runs."""
    broken = [Broken(), Broken(on=ObserverDetached)]
    emit = Emitter(*[each.observe for each in broken]).emit
    emit(CREATED)
    emit(STARTED)
    assert not any("job_started" in each.heard for each in broken)


@pytest.mark.parametrize(
    "error",
    [Unprintable(), RecursionError(), ExceptionGroup("both", [ValueError(), Unprintable()])],
    ids=lambda error: type(error).__name__,
)
def test_no_error_of_an_observer_reaches_the_teller(error: Exception) -> None:
    """Emitting never raises, not even if the observer's error can't be shown."""
    record = Record()
    emit = Emitter(Broken(error=error).observe, record.observe).emit
    emit(CREATED)
    emit(STARTED)
    assert detached(record) == ["Broken.observe"]
    assert record.names()[-1] == "job_started"


def test_an_odd_error_does_not_take_the_log_along() -> None:
    """An observer whose error is not UTF-8 is reported in the log, which hears all that follows."""
    lines: list[bytes] = []
    error = OSError("can't write caf\udce9")
    emit = Emitter(Broken(error=error).observe, Log(lines.append).observe).emit
    emit(CREATED)
    emit(STARTED)
    assert [b"observer_detached" in line for line in lines].count(True) == 1
    assert b"job_started" in lines[-1]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_go_through(interrupt: type[BaseException]) -> None:
    """What is no error of the observer's, such as Ctrl+C, is raised and detaches nobody."""
    interrupted, record = Broken(on=JobCreated, error=interrupt()), Record()
    emit = Emitter(interrupted.observe, record.observe).emit
    with pytest.raises(interrupt):
        emit(CREATED)
    emit(STARTED)
    assert interrupted.heard == ["job_created", "job_started"]
    assert record.names() == ["job_started"]
