"""Turns exceptions into the bounded, printable text of log lines and job stories."""

import traceback
from collections.abc import Iterator

MAX_ERROR_CHARS = 1_000
MAX_TRACEBACK_CHARS = 16_000
MAX_KEPT_TRACEBACK_CHARS = 4_000  # of each attempt, for as long as its job is kept


def describe(error: BaseException) -> str:
    """`ValueError: what it says`, one line of at most MAX_ERROR_CHARS; of a group, each error."""
    try:
        text = " ".join(_describe(error).split())
    except Exception:  # an exception may be broken itself, or nested without end
        text = type(error).__name__
    return encodable(text)[:MAX_ERROR_CHARS]


def format_traceback(error: BaseException) -> str:
    """The traceback as Python prints it; where it is longer than MAX_TRACEBACK_CHARS, its end."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # as above
        text = f"{type(error).__name__}, whose traceback can't be formatted"
    return encodable(text)[-MAX_TRACEBACK_CHARS:]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, however deep; of an error that is no group, itself."""
    # Each nursery an error passes through wraps it once more, which says nothing about it.
    waiting = [error]
    while waiting:
        next_one = waiting.pop()
        if isinstance(next_one, BaseExceptionGroup):
            waiting.extend(reversed(next_one.exceptions))
        else:
            yield next_one


def _describe(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: [{', '.join(map(_describe, leaves(error)))}]"
    return "".join(traceback.format_exception_only(error)).strip()


def encodable(text: str) -> str:
    """The text without lone surrogates, which can't go into a log line or a reply."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
