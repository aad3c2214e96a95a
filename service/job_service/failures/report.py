"""Turns an error into text for the log and for its job: bounded, printable, and quickly made.

What a handler raises may be huge: a message of megabytes, a group of thousands, countless frames.
It may be broken, too: its own methods may raise, lie or never return. The event loop waits while an
error is described. So it is measured first, and there is a text for any error.
"""

import traceback
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple

from job_service.failures.exception_groups import causes_of, is_a, leaves, members, traceback_of
from job_service.failures.messages import Messages
from job_service.failures.names import (
    CUT,
    MAX_ERROR_CHARS,
    encodable,
    full_name_of,
    name_of,
    shortened,
)
from job_service.failures.outline import MAX_LINE_CHARS, outline, source_of
from job_service.failures.size import MAX_CHARS

CONCEALED: Final = "what it says is concealed, because the job type is sensitive"
MAX_TRACEBACK_CHARS: Final = 16_000
MAX_KEPT_TRACEBACK_CHARS: Final = 4_000  # of each attempt, for as long as its job is kept

_NAMED_ERRORS: Final = 10  # of a group

# Python formats this in a few milliseconds. An error with more gets an outline.
_MODEST_ERRORS: Final = 50
_MODEST_FRAMES: Final = 150

# Python reads these to format an error. One whose class has its own gets an outline.
_READ_TO_FORMAT: Final = {"__cause__", "__context__", "__traceback__", "__notes__", "exceptions"}


class Report(NamedTuple):
    """What `describe` and `format_traceback` return for one error."""

    line: str
    traceback: str


def report(error: BaseException, callers: tuple[str, ...] = ()) -> Report:
    """Both texts, made with one call of the error's own code; see `format_traceback`."""
    messages = Messages()
    line = _line(error, messages)
    return Report(line, _traceback(error, callers, line, messages))


def report_kind(error: BaseException, callers: tuple[str, ...] = ()) -> Report:
    """As `report`, without a word of what the error says, because that may quote a secret."""
    names = [full_name_of(type(leaf)) for leaf in islice(leaves(error), _NAMED_ERRORS)]
    line = shortened(f"{', '.join(names)}: {CONCEALED}", MAX_ERROR_CHARS)
    frames = _beyond(callers, traceback_of(error))
    return Report(line, outline(frames, line, "without what its error says"))


def describe(error: BaseException) -> str:
    """`ValueError: its message`, a line of up to MAX_ERROR_CHARS; for a group, all its errors."""
    return _line(error, Messages())


def format_traceback(error: BaseException, callers: tuple[str, ...] = ()) -> str:
    """The traceback as Python prints it, or the last MAX_TRACEBACK_CHARS of it.

    Its first frames are left out if their files begin with one of `callers`, unless all do. An
    error that would take long to format gets an outline.
    """
    return report(error, callers).traceback


def _line(error: BaseException, messages: Messages) -> str:
    try:
        return shortened(" ".join(_describe(error, messages).split()), MAX_ERROR_CHARS)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it is broken in a way that nobody has thought of
        return encodable(name_of(type(error)))


def _describe(error: BaseException, messages: Messages) -> str:
    if not is_a(error, BaseExceptionGroup):
        return messages.line_of(error)
    room = MAX_ERROR_CHARS  # an error takes at least one character of it
    texts: list[str] = []
    for leaf in islice(leaves(error), MAX_ERROR_CHARS):
        if room < 0:
            texts.append(CUT)
            break
        texts.append(messages.line_of(leaf))
        room -= len(texts[-1])
    return f"{full_name_of(type(error))}: [{', '.join(texts)}]"


def _traceback(
    error: BaseException, callers: tuple[str, ...], line: str, messages: Messages
) -> str:
    frames = _beyond(callers, traceback_of(error))
    try:
        if _is_modest(error, messages):
            text = "".join(traceback.format_exception(type(error), error, frames))
        else:
            text = outline(frames, line)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it may be broken itself
        text = outline(frames, line)
    return encodable(text[-MAX_TRACEBACK_CHARS:])[-MAX_TRACEBACK_CHARS:]


def _beyond(callers: tuple[str, ...], whole: TracebackType | None) -> TracebackType | None:
    frames = whole
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(callers):
        frames = frames.tb_next
    return frames or whole


def _is_modest(error: BaseException, messages: Messages) -> bool:
    """Whether Python can format it, with its causes, in a few milliseconds."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    errors = frames = chars = 0
    while waiting:
        one = waiting.pop()
        inside = members(one)  # Python prints one as often as it occurs
        errors += 1
        if errors + len(inside) > _MODEST_ERRORS or not _is_formatted_as_usual(type(one)):
            return False
        causes = [cause for cause in causes_of(one) if id(cause) not in seen]
        seen.update(map(id, causes))
        waiting += [*inside, *causes]
        size = messages.size_of(one)
        if size is None:
            return False
        chars += size
        for frame, number in traceback.walk_tb(traceback_of(one)):
            frames += 1
            chars += _excess(source_of(frame, number))
            if frames > _MODEST_FRAMES:
                return False
        if chars > MAX_CHARS:
            return False
    return True


def _excess(source: str) -> int:
    """The length of a line of source that is too long to be written by hand, else 0."""
    return len(source) if len(source) > MAX_LINE_CHARS else 0


def _is_formatted_as_usual(kind: type[BaseException]) -> bool:
    for each in type.__dict__["__mro__"].__get__(kind):
        if each is BaseException or each is BaseExceptionGroup:
            return True
        if not _READ_TO_FORMAT.isdisjoint(type.__dict__["__dict__"].__get__(each)):
            return False
    return True
