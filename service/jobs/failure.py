"""Turns exceptions into the bounded, printable text of log lines and job stories."""

import traceback

MAX_ERROR_CHARS = 1_000
MAX_TRACEBACK_CHARS = 16_000


def describe(error: BaseException) -> str:
    """`ValueError: what it says`, at most MAX_ERROR_CHARS long; of a group, each error in it."""
    return _encodable(_describe(error))[:MAX_ERROR_CHARS]


def format_traceback(error: BaseException) -> str:
    """The traceback as Python prints it; where it is longer than MAX_TRACEBACK_CHARS, its end."""
    return _encodable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_CHARS:]


def _describe(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        inner = ", ".join(_describe(each) for each in error.exceptions)
        return f"{type(error).__name__}: [{inner}]"
    lines = traceback.TracebackException.from_exception(error).format_exception_only()
    return "".join(lines).strip()


def _encodable(text: str) -> str:
    # A lone surrogate, as in a file name that is not UTF-8, can't go into a log line or a reply.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
