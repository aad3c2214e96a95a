"""Turns exceptions into the bounded, printable text of log lines and job stories."""

import traceback
from collections.abc import Iterator
from types import TracebackType

MAX_ERROR_CHARS = 1_000
MAX_TRACEBACK_CHARS = 16_000
MAX_KEPT_TRACEBACK_CHARS = 4_000  # of each attempt, for as long as its job is kept

_PACKAGE = __name__.partition(".")[0]


def describe(error: BaseException) -> str:
    """`ValueError: what it says`, one line of at most MAX_ERROR_CHARS; of a group, each error."""
    try:
        text = " ".join(_describe(error).split())
    except Exception:  # an exception may be broken itself, or nested without end
        text = type(error).__name__
    return encodable(text)[:MAX_ERROR_CHARS]


def format_traceback(error: BaseException, caller: str | None = None) -> str:
    """The traceback as Python prints it; where it is longer than MAX_TRACEBACK_CHARS, its end.

    Without the frames of the file `caller` that it begins with, unless it has no others.
    """
    try:
        frames = _beyond(caller, error.__traceback__)
        text = "".join(traceback.format_exception(type(error), error, frames))
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


def _beyond(file: str | None, whole: TracebackType | None) -> TracebackType | None:
    frames = whole
    while frames is not None and frames.tb_frame.f_code.co_filename == file:
        frames = frames.tb_next
    return frames or whole


def _describe(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: [{', '.join(map(_describe, leaves(error)))}]"
    text = "".join(traceback.format_exception_only(error)).strip()
    module = type(error).__module__
    if module.partition(".")[0] == _PACKAGE:  # it is no library's: of ours the name is enough
        return text.removeprefix(f"{module}.")
    return text


def encodable(text: str) -> str:
    """The text without lone surrogates, which can't go into a log line or a reply."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
