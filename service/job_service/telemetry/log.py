"""The structured log: writes each event as a line, and gives handlers a logger for their own."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import structlog
from msgspec import json, to_builtins
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from job_service.failures.report import format_traceback
from job_service.nesting import MAX_DEPTH, is_too_deep
from job_service.telemetry.console import COLUMNS, Console
from job_service.telemetry.events import (
    Event,
    ServiceDraining,
    ServiceStarted,
    ServiceStopped,
    utc_now,
)
from job_service.telemetry.text import printable

LogFormat = Literal["json", "console"]
LogFormatChoice = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_LEVEL_NUMBERS: dict[LogLevel, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Where the service listens, and that it ends and why: no other line says of which run it is.
_AT_EVERY_LEVEL = (ServiceStarted, ServiceDraining, ServiceStopped)


class Log:
    """One service's log. Every line has `timestamp`, `level` and `event`, then its own keys.

    `observe` is the observer that writes each event as a line. `logger` is for all other lines,
    above all those of handlers. Both give finished lines to `write`, and both leave out what is
    below `level`. Only the start of the service, its drain and its end are written at every level.
    `columns` is asked for each line of the console how wide it may be. structlog's global
    configuration is neither read nor changed.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        log_format: LogFormat = "json",
        level: LogLevel = "info",
        *,
        colors: bool = False,
        columns: Callable[[], int] = lambda: COLUMNS,
    ) -> None:
        self._write = write
        self._render_event: Callable[[Event], bytes] = encode_event
        render_line: Callable[[WrappedLogger, str, EventDict], bytes] = _render_json
        if log_format == "console":
            render_line = console = Console(colors=colors, columns=columns)
            self._render_event = _with(console)
        lowest = _LEVEL_NUMBERS[level]
        self._levels = {name for name, number in _LEVEL_NUMBERS.items() if number >= lowest}
        self.logger: FilteringBoundLogger = structlog.wrap_logger(
            _LineLogger(write),
            processors=[_add_standard_keys, render_line],
            wrapper_class=structlog.make_filtering_bound_logger(lowest),
            context_class=dict,
        ).bind()

    def observe(self, event: Event) -> None:
        """Write `event` as a line, if it is logged. It costs much less than a call of `logger`."""
        if not event.logged:
            return
        if event.level in self._levels or isinstance(event, _AT_EVERY_LEVEL):
            self._write(self._render_event(event))


class _LineLogger:
    """What structlog calls with a finished line: every level's method is `write`."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = write


def _add_standard_keys(_: WrappedLogger, level: str, fields: EventDict) -> EventDict:
    event = printable(fields.get("event"))  # structlog leaves out an event of None
    line: dict[str, Any] = {"timestamp": utc_now(), "level": level, "event": event}
    exc_info = fields.pop("exc_info", None)
    if isinstance(exc_info, tuple):  # as sys.exc_info() gives it
        exc_info = exc_info[1]
    if not issubclass(type(exc_info), BaseException):  # the truth of an error may raise
        exc_info = sys.exception() if exc_info else None
    if exc_info is not None:
        line["traceback"] = format_traceback(exc_info)
    return line | {key: value for key, value in fields.items() if key not in line}


def event_renderer(log_format: LogFormat, *, colors: bool = False) -> Callable[[Event], bytes]:
    """A function that gives the line of an event in this format."""
    if log_format == "json":
        return encode_event
    return _with(Console(colors=colors, columns=lambda: COLUMNS))


def _with(render: Console) -> Callable[[Event], bytes]:
    return lambda event: render(None, event.level, to_builtins(event, builtin_types=(datetime,)))


def encode_event(event: Event) -> bytes:
    """The event as a line of JSON, without a line break."""
    try:
        return json.encode(event)
    except ValueError:  # a lone surrogate in one of its texts
        return _render_json(None, event.level, to_builtins(event))


def _render_json(_: WrappedLogger, __: str, line: EventDict) -> bytes:
    try:
        return _encode(line, enc_hook=repr)
    except KeyboardInterrupt:
        raise
    except BaseException:
        # Handlers may log what JSON can't carry: a lone surrogate, a list that holds itself, an
        # object whose repr raises. Or it is nested too deeply for readers of the log. The line must
        # be written all the same.
        return json.encode({printable(key): _encodable(value) for key, value in line.items()})


def _encodable(value: object) -> object:
    try:
        _encode(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return printable(value)
    return value


def _encode(value: object, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
    text = json.encode(value, enc_hook=enc_hook)
    if is_too_deep(text):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return text
