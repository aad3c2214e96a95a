"""Takes what Python and its libraries say into the structured log, and off stderr."""

import logging
import sys
import threading
from typing import TYPE_CHECKING, Final

from job_service.telemetry.text import printable

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_METHODS: Final = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}
_MAX_CHARS: Final = 10_000


class LibraryMessages(logging.Handler):
    """Writes each record as a `library_message` line: `library` is the name of its logger.

    What is below a warning is left out: it is meant for those who develop the library.
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
    """The method of the structured log that writes it."""
    return _METHODS.get(record.levelname, "warning")


def message_of(record: logging.LogRecord) -> str:
    """What it says."""
    try:
        message = record.getMessage()
    except KeyboardInterrupt:
        raise
    except BaseException:  # arguments that do not fit
        message = printable(record.msg)
    return printable(message[:_MAX_CHARS])


def listen_to_libraries(handler: logging.Handler) -> None:
    """For the rest of the process's life; to what Python itself would print on stderr, too.

    That is its warnings, and errors that nobody can catch: in threads, and while objects go.
    """
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)
    threading.excepthook = _tell_of_thread
    sys.unraisablehook = _tell_of_unraisable


def _tell_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:  # which ends just the thread, and is no error
        return
    name = args.thread.name if args.thread is not None else "unknown"
    _tell("threading", f"error in thread {name}", args.exc_value)


def _tell_of_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    said = unraisable.err_msg or "Exception ignored in"
    _tell("sys", f"{said}: {printable(unraisable.object)}", unraisable.exc_value)


def _tell(library: str, message: str, error: BaseException | None) -> None:
    logging.getLogger(library).error("%s", message, exc_info=error)
