"""The logger of handlers: a structlog logger that writes a line whatever it is called with.

structlog's own raises if the arguments of an event do not fit its `%` format, and then a job would
fail because of its log.
"""

from collections.abc import Callable
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from job_service.failures.exception_groups import is_a
from job_service.failures.names import exact
from job_service.telemetry.room import in_short
from job_service.telemetry.text import printable

Hear = Callable[[str, str, bytes | None], None]
WriteLine = Callable[[str, dict[str, Any], Hear | None], None]

LEVEL_NUMBERS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LEVEL_CHARS: Final = 20  # more than the name of any level has
_OTHER_NAMES: Final = {
    "msg": "info",
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
}


def line_logger(lowest: int, write: WriteLine) -> FilteringBoundLogger:
    """A logger that hands the level and the fields of each line from `lowest` on to `write`.

    `write` also gets who else hears the line, if somebody does: see `heard_by`.

    It has all methods that structlog documents. Those for asyncio, such as `ainfo`, write their
    line at once, and have no checkpoint.
    """
    methods: dict[str, Callable[..., Any]] = {"log": _log_method(write)}
    methods |= {name: _method(name, write) for name in (*LEVEL_NUMBERS, *_OTHER_NAMES)}
    methods |= {f"a{name}": _as_async(method) for name, method in methods.items()}
    kind: Any = type("LineLogger", (structlog.make_filtering_bound_logger(lowest),), methods)
    logger: FilteringBoundLogger = kind(None, [], {})  # where others have a logger to pass lines to
    return logger


def heard_by(logger: FilteringBoundLogger, hear: Hear) -> FilteringBoundLogger:
    """The same logger, and `hear` is given each line of it, and of those that are bound from it.

    That is the line's level, its event, and as JSON text what else the caller gave. The logger must
    be one of `line_logger`.
    """
    kind: Any = type(logger)
    heard: FilteringBoundLogger = kind(hear, [], structlog.get_context(logger))
    return heard


def _method(name: str, write: WriteLine) -> Callable[..., None]:
    level = _OTHER_NAMES.get(name, name)
    always = {"exc_info": True} if name == "exception" else {}

    def method(self: Any, event: object = None, /, *args: object, **fields: object) -> None:
        _write(self, self._logger, write, level, event, args, always | fields)

    return method


def _log_method(write: WriteLine) -> Callable[..., None]:
    def log(
        self: Any, level: object = None, event: object = None, /, *args: object, **fields: object
    ) -> None:
        _write(self, self._logger, write, _level_named(level), event, args, fields)

    return log


def _as_async(method: Callable[..., None]) -> Callable[..., Any]:
    async def async_method(self: Any, /, *args: object, **fields: object) -> None:
        method(self, *args, **fields)

    return async_method


def _write(
    logger: FilteringBoundLogger,
    hear: Hear | None,
    write: WriteLine,
    level: str,
    event: object,
    args: tuple[object, ...],
    fields: dict[str, object],
) -> None:
    if not logger.is_enabled_for(LEVEL_NUMBERS[level]):
        return
    if args:
        try:
            event = _formatted(event, args := tuple(in_short(args)))
        except KeyboardInterrupt:
            raise
        except BaseException:  # they do not fit, or one of them can't be shown
            fields.setdefault("positional_args", [_shown(value) for value in args])
    if event is not None:
        fields["event"] = event
    write(level, {**structlog.get_context(logger), **fields}, hear)


def _formatted(event: object, args: tuple[object, ...]) -> object:
    """The event with its arguments, as structlog does it: a single dict gives them by name."""
    named = len(args) == 1 and isinstance(args[0], dict) and args[0]
    return event % (args[0] if named else args)  # type: ignore[operator]  # it may raise


def _shown(value: object) -> object:
    """The value itself if each format of the log can carry it, else its text."""
    return value if value is None or type(value) in (bool, int, float) else printable(value)


def _level_named(level: object) -> str:
    """The nearest level below a number, and "info" for what is neither that nor a name."""
    if type(level) is not int:
        name = exact(level, _LEVEL_CHARS) if is_a(level, str) else ""
        return name if name in LEVEL_NUMBERS else _OTHER_NAMES.get(name, "info")
    reached = [name for name, number in LEVEL_NUMBERS.items() if number <= level]
    return reached[-1] if reached else "debug"
