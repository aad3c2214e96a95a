"""The logger of handlers: a structlog logger that writes a line whatever it is called with.

structlog's own raises if the arguments of an event do not fit its `%` format, and then a job would
fail because of its log.
"""

from collections.abc import Callable
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from job_service.telemetry.text import printable

LEVEL_NUMBERS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_OTHER_NAMES: Final = {
    "msg": "info",
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
}


def line_logger_class(lowest: int) -> type[FilteringBoundLogger]:
    """The class of loggers that write lines of the level `lowest` and above.

    They have all methods that structlog documents. Those for asyncio, such as `ainfo`, write their
    line at once, and have no checkpoint.
    """
    base = structlog.make_filtering_bound_logger(lowest)
    methods: dict[str, Callable[..., Any]] = {"log": _log, "alog": _as_async(_log)}
    for name in (*LEVEL_NUMBERS, *_OTHER_NAMES):
        methods[name] = method = _method(name)
        methods[f"a{name}"] = _as_async(method)
    return type("LineLogger", (base,), methods)


def _method(name: str) -> Callable[..., None]:
    level = _OTHER_NAMES.get(name, name)
    always = {"exc_info": True} if name == "exception" else {}

    def write(self: Any, event: object = None, /, *args: object, **fields: object) -> None:
        _write(self, level, event, args, always | fields)

    return write


def _log(
    self: Any, level: object = None, event: object = None, /, *args: object, **fields: object
) -> None:
    _write(self, _level_named(level), event, args, fields)


def _as_async(method: Callable[..., None]) -> Callable[..., Any]:
    async def write(self: Any, /, *args: object, **fields: object) -> None:
        method(self, *args, **fields)

    return write


def _write(
    self: Any, level: str, event: object, args: tuple[object, ...], fields: dict[str, object]
) -> None:
    if not self.is_enabled_for(LEVEL_NUMBERS[level]):
        return
    if args:
        try:
            event = _formatted(event, args)
        except KeyboardInterrupt:
            raise
        except BaseException:  # they do not fit, or one of them can't be shown
            fields.setdefault("positional_args", [_shown(value) for value in args])
    (line,), _ = self._process_event(level, event, fields)
    self._logger(line)


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
        name = printable(level)
        return name if name in LEVEL_NUMBERS else _OTHER_NAMES.get(name, "info")
    reached = [name for name, number in LEVEL_NUMBERS.items() if number <= level]
    return reached[-1] if reached else "debug"
