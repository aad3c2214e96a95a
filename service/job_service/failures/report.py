"""Turns exceptions into the bounded, printable text of log lines and job stories.

A handler may raise what is endless: a text of megabytes, a group of thousands, frames without
number; and what is broken: its own code may raise, lie or loop. Describing it happens on the event
loop, so all of it is measured before it is worked on, and whatever it is, something is told.
"""

import traceback
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple

from job_service.failures.groups import causes_of, is_a, leaves, members, traceback_of
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
from job_service.failures.words import Wording

MAX_TRACEBACK_CHARS: Final = 16_000
MAX_KEPT_TRACEBACK_CHARS: Final = 4_000  # of each attempt, for as long as its job is kept

# What Python formats in a few milliseconds. Of an error with more only the outline is told.
_MODEST_ERRORS: Final = 50
_MODEST_FRAMES: Final = 150

# By these Python finds what it is to tell. An error that has its own is told in outline.
_LEADS_ON: Final = {"__cause__", "__context__", "__traceback__", "__notes__", "exceptions"}


class Report(NamedTuple):
    """What `describe` and `format_traceback` give of one error."""

    line: str
    traceback: str


def report(error: BaseException, caller: str | None = None) -> Report:
    """Both texts, for which the error is asked once; see `describe` and `format_traceback`."""
    wording = Wording()
    line = _line(error, wording)
    return Report(line, _traceback(error, caller, line, wording))


def describe(error: BaseException) -> str:
    """`ValueError: what it says`, one line of at most MAX_ERROR_CHARS; of a group, each error."""
    return _line(error, Wording())


def format_traceback(error: BaseException, caller: str | None = None) -> str:
    """The traceback as Python prints it; where it is longer than MAX_TRACEBACK_CHARS, its end.

    Without the frames of the file `caller` that it begins with, unless it has no others. Of an
    error that is out of all proportion only the outermost and the innermost frames are told.
    """
    return report(error, caller).traceback


def _line(error: BaseException, wording: Wording) -> str:
    try:
        return shortened(" ".join(_describe(error, wording).split()), MAX_ERROR_CHARS)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it is more broken than we thought
        return encodable(name_of(type(error)))


def _describe(error: BaseException, wording: Wording) -> str:
    if not is_a(error, BaseExceptionGroup):
        return wording.line_of(error)
    room = MAX_ERROR_CHARS  # an error takes at least one character of it
    texts: list[str] = []
    for leaf in islice(leaves(error), MAX_ERROR_CHARS):
        if room < 0:
            texts.append(CUT)
            break
        texts.append(wording.line_of(leaf))
        room -= len(texts[-1])
    return f"{full_name_of(type(error))}: [{', '.join(texts)}]"


def _traceback(error: BaseException, caller: str | None, line: str, wording: Wording) -> str:
    frames = _beyond(caller, traceback_of(error))
    try:
        if _is_modest(error, wording):
            text = "".join(traceback.format_exception(type(error), error, frames))
        else:
            text = outline(frames, line)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it may be broken itself
        text = outline(frames, line)
    return encodable(text[-MAX_TRACEBACK_CHARS:])[-MAX_TRACEBACK_CHARS:]


def _beyond(file: str | None, whole: TracebackType | None) -> TracebackType | None:
    frames = whole
    while frames is not None and frames.tb_frame.f_code.co_filename == file:
        frames = frames.tb_next
    return frames or whole


def _is_modest(error: BaseException, wording: Wording) -> bool:
    """Whether Python can format it, and all that led to it, in a short time."""
    led_on: set[int] = set()
    waiting: list[BaseException] = [error]
    errors = frames = chars = 0
    while waiting:
        one = waiting.pop()
        inside = members(one)  # Python tells one as often as it is there
        errors += 1
        if errors + len(inside) > _MODEST_ERRORS or not _leads_on_as_all_do(type(one)):
            return False
        causes = [cause for cause in causes_of(one) if id(cause) not in led_on]
        led_on.update(map(id, causes))
        waiting += [*inside, *causes]
        size = wording.size_of(one)
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
    """The length of a line of source that nobody has written by hand."""
    return len(source) if len(source) > MAX_LINE_CHARS else 0


def _leads_on_as_all_do(kind: type[BaseException]) -> bool:
    for each in type.__dict__["__mro__"].__get__(kind):
        if each is BaseException or each is BaseExceptionGroup:
            return True
        if not _LEADS_ON.isdisjoint(type.__dict__["__dict__"].__get__(each)):
            return False
    return True
