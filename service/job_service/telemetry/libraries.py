"""Takes what libraries say through `logging` into the structured log, and off stderr."""

import logging
from typing import Final

from structlog.typing import FilteringBoundLogger

from job_service.telemetry.text import printable

_METHODS: Final = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}


class LibraryMessages(logging.Handler):
    """Writes each record as a `library_message` line: `library` is the name of its logger.

    What is below a warning is left out: it is meant for those who develop the library.
    """

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`, on any thread."""
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit
            message = printable(record.msg)
        write = getattr(self._logger, _METHODS.get(record.levelname, "warning"))
        write(
            "library_message",
            library=record.name,
            message=message,
            exc_info=record.exc_info or None,
        )


def listen_to_libraries(logger: FilteringBoundLogger) -> None:
    """For the rest of the process's life, Python's own warnings included."""
    logging.getLogger().addHandler(LibraryMessages(logger))
    logging.captureWarnings(capture=True)
