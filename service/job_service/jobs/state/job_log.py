"""The lines that a handler writes with `job.log`: how many of an attempt are kept, and which."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from job_service.telemetry.events import Level

FIRST_LINES: Final = 50  # that are kept of each attempt, and
LAST_LINES: Final = 50
PART_BYTES: Final = 8 * 1024  # of the first ones, and of the last ones

_LINE_BYTES: Final = 150  # of a line without its texts
_SECOND: Final = timedelta(seconds=1)


class LogLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line that a handler wrote with `job.log`; `fields` is a JSON object, and may be cut."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    level: Level
    event: str
    fields: Raw | UnsetType = UNSET  # msgspec can't decode one that may be None


class AttemptLog(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The first lines of an attempt, how many are `missing` after them, and the last ones."""

    first: tuple[LogLine, ...] = ()
    missing: int = 0
    last: tuple[LogLine, ...] = ()


def with_line(log: AttemptLog | None, line: LogLine) -> AttemptLog:
    """The log with one line more, and perhaps another one less."""
    if log is None:
        return AttemptLog((line,))
    first, last, missing = log.first, (*log.last, line), log.missing
    fits = len(first) < FIRST_LINES and _bytes_of_lines(first) + _bytes_of_line(line) <= PART_BYTES
    if fits and not log.last:
        return AttemptLog((*first, line))
    while len(last) > LAST_LINES or _bytes_of_lines(last) > PART_BYTES:
        last, missing = last[1:], missing + 1
    return AttemptLog(first, missing, last)


def is_worth_telling(log: AttemptLog | None, line: LogLine) -> bool:
    """Whether the handler has not written too many lines in the last second."""
    last = log.last if log is not None else ()
    return len(last) < LAST_LINES or line.timestamp - last[0].timestamp > _SECOND


def without_lines(log: AttemptLog | None) -> AttemptLog | None:
    """The log of an attempt of which only is kept how many lines it wrote."""
    return log and AttemptLog(missing=len(log.first) + log.missing + len(log.last))


def on_its_own(log: AttemptLog | None) -> AttemptLog | None:
    """The log without the whole text that it was decoded from, to which its parts would refer."""
    return log and AttemptLog(_copies(log.first), log.missing, _copies(log.last))


def bytes_of(log: AttemptLog) -> int:
    """The memory that it takes, about."""
    return _bytes_of_lines(log.first) + _bytes_of_lines(log.last)


def _copies(lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    return tuple(
        line if line.fields is UNSET else msgspec.structs.replace(line, fields=line.fields.copy())
        for line in lines
    )


def _bytes_of_lines(lines: tuple[LogLine, ...]) -> int:
    """The memory that they take, about."""
    return sum(map(_bytes_of_line, lines))


def _bytes_of_line(line: LogLine) -> int:
    """The memory that it takes, about."""
    return _LINE_BYTES + len(line.event) + (0 if line.fields is UNSET else len(line.fields))
