"""The structured log: writes each event as a line, and gives handlers a logger for their own."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import to_builtins
from msgspec.json import Encoder

from job_service.failures.report import format_traceback
from job_service.telemetry.any_json import render_json, render_short
from job_service.telemetry.console import COLUMNS, Console
from job_service.telemetry.emitter import Listener, Observer
from job_service.telemetry.events import (
    Event,
    ServiceDraining,
    ServiceStarted,
    ServiceStopped,
    utc_now,
)
from job_service.telemetry.exc_info import error_of
from job_service.telemetry.line_logger import LEVEL_NUMBERS, Hear, line_logger
from job_service.telemetry.room import with_room
from job_service.telemetry.text import printable

LogFormat = Literal["json", "console"]
LogFormatChoice = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

MAX_HEARD_CHARS: Final = 2_000  # of a line that a job keeps: its event, and again all the rest
_OF_EACH_LINE: Final = frozenset(
    {"timestamp", "level", "event", "job_id", "job_type", "worker_id", "attempt"}
)
_encode: Final = Encoder().encode  # which takes less time than the function of the same name

# Where the service listens, and that it ends and why: no other line says of which run it is.
_AT_EVERY_LEVEL = (ServiceStarted, ServiceDraining, ServiceStopped)


class Log(Listener):
    """One service's log. Every line has `timestamp`, `level` and `event`, then its own keys.

    It listens to the events, and writes each as a line. `logger` is for all other lines, above all
    those of handlers. Both give finished lines to `write`, and both leave out what is
    below `level`. Only the start of the service, its drain and its end are written at every level.
    `columns` is asked for each line of the console how wide it may be. `now` gives the moment of a
    line that is no event. structlog's global configuration is neither read nor changed.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        log_format: LogFormat = "json",
        level: LogLevel = "info",
        *,
        colors: bool = False,
        columns: Callable[[], int] = lambda: COLUMNS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._write = write
        self._now = now
        self._render_event: Callable[[Event], bytes] = encode_event
        self._render_line: Callable[[dict[str, Any]], bytes] = render_json
        if log_format == "console":
            self._render_line = console = Console(colors=colors, columns=columns)
            self._render_event = _with(console)
        lowest = LEVEL_NUMBERS[level]
        self._levels = {name for name, number in LEVEL_NUMBERS.items() if number >= lowest}
        self.logger = line_logger(lowest, self._write_line)

    def observer_of(self, kind: type[Event]) -> Observer | None:
        """What writes such events, if they are logged. It costs much less than the `logger`."""
        if not kind.logged:
            return None
        return self._write_event if kind in _AT_EVERY_LEVEL else self._write_event_of_level

    def _write_event(self, event: Event) -> None:
        self._write(self._render_event(event))

    def _write_event_of_level(self, event: Event) -> None:
        if event.level in self._levels:
            self._write(self._render_event(event))

    def _write_line(self, level: str, fields: dict[str, Any], hear: Hear | None) -> None:
        line = _with_standard_keys(self._now(), level, fields)
        try:
            text = self._render_line(line)
        except KeyboardInterrupt:
            raise
        except BaseException:  # one of the values only looks like a text, a number or a list
            text = self._render_line({printable(key): _plain(line[key]) for key in line})
        self._write(text)
        if hear is not None:
            hear(level, line["event"][:MAX_HEARD_CHARS], _heard_fields(line))


def _heard_fields(line: dict[str, Any]) -> bytes | None:
    """What the line has beside its event and its job, as JSON text; None if there is nothing."""
    own = {key: value for key, value in line.items() if key not in _OF_EACH_LINE}
    return render_short(own, MAX_HEARD_CHARS) if own else None


def _with_standard_keys(now: datetime, level: str, fields: dict[str, Any]) -> dict[str, Any]:
    error = error_of(fields.pop("exc_info", None))
    fields = with_room(fields)
    event = printable(fields.get("event"))
    line: dict[str, Any] = {"timestamp": now, "level": level, "event": event}
    if error is not None:
        line["traceback"] = format_traceback(error)
    return line | {key: value for key, value in fields.items() if key not in line}


def _plain(value: object) -> object:
    return value if type(value) in (datetime, bool, int, float) else printable(value)


def event_renderer(log_format: LogFormat, *, colors: bool = False) -> Callable[[Event], bytes]:
    """A function that gives the line of an event in this format."""
    if log_format == "json":
        return encode_event
    return _with(Console(colors=colors, columns=lambda: COLUMNS))


def _with(render: Console) -> Callable[[Event], bytes]:
    return lambda event: render(to_builtins(event, builtin_types=(datetime,)))


def encode_event(event: Event) -> bytes:
    """The event as a line of JSON, without a line break."""
    try:
        return _encode(event)
    except ValueError:  # a lone surrogate in one of its texts
        return render_json(to_builtins(event))
