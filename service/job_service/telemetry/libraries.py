"""Brings what Python and its libraries log into the structured log, instead of stderr."""

import logging
import sys
import threading
from typing import TYPE_CHECKING, Final

from job_service.failures.size import fits
from job_service.telemetry.text import MOST_CHARS, MOST_VALUES, printable

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_METHODS: Final = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}
_MAX_CHARS: Final = 10_000


class LibraryMessages(logging.Handler):
    """Writes each record as a `library_message` line: `library` is the name of its logger.

    Records below a warning are left out: they are for those who develop the library.
    """

    def __init__(self, logger: "FilteringBoundLogger") -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`, on any thread."""
        write = getattr(self._logger, method_of(record))
        write(
            "library_message",
            library=record.name,
            message=message_of(record),
            exc_info=record.exc_info or None,
        )


def method_of(record: logging.LogRecord) -> str:
    """The name of the method of the structured log that writes the record."""
    return _METHODS.get(record.levelname, "warning")


def message_of(record: logging.LogRecord) -> str:
    """The text of the record, in at most _MAX_CHARS characters."""
    try:
        is_short = fits((record.msg, record.args), MOST_VALUES, MOST_CHARS)
        message = record.getMessage() if is_short else printable(record.msg)
    except KeyboardInterrupt:
        raise
    except BaseException:  # arguments that do not fit
        message = printable(record.msg)
    return printable(message[:_MAX_CHARS])


def listen_to_libraries(handler: logging.Handler) -> None:
    """Add the handler for the rest of the process's life.

    It also gets what Python itself would print on stderr: warnings, and errors that nobody can
    catch, in threads and while objects are deleted.
    """
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_error_of_thread
    sys.unraisablehook = _log_unraisable


def _log_error_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:  # it just ends the thread, and is no error
        return
    name = args.thread.name if args.thread is not None else "unknown"
    _log_error("threading", f"error in thread {name}", args.exc_value)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    said = unraisable.err_msg or "Exception ignored in"
    _log_error("sys", f"{said}: {printable(unraisable.object)}", unraisable.exc_value)


def _log_error(library: str, message: str, error: BaseException | None) -> None:
    logging.getLogger(library).error("%s", message, exc_info=error)
