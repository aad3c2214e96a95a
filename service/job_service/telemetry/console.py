"""The log for people: a table as wide as their terminal, with each traceback below its line."""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any, Final, TypeGuard

from job_service.telemetry.text import one_line, printable

COLUMNS: Final = 100  # if there is no terminal that has a width
FEWEST_COLUMNS: Final = 80

_LEVELS: Final = {
    "debug": "debg",
    "info": "info",
    "warning": "warn",
    "error": "err",
    "critical": "err",
}
_COLOURS: Final = {"debug": "34", "info": "32", "warning": "33", "error": "31", "critical": "31"}
_DIM, _BOLD = "2", "1"
_INDENT: Final = " " * 18
_EVENT: Final = 13  # columns of the longest event of a job

# The columns of a job's line. Its id follows, always whole, so that it can be copied. With all
# columns at their narrowest the line has exactly 100 characters.
_JOB_TYPE: Final = range(11, 24 + 1)
_FEWEST_OF_TYPE: Final = 7  # beside a long event
_WORKER_ID: Final = range(9, 12 + 1)
_ATTEMPT_AND_DURATION: Final = 9
_DURATIONS: Final = ("wait_seconds", "run_seconds", "stalled_seconds")
_BESIDE_TYPE_AND_WORKER: Final = len(_INDENT) + _EVENT + 3 + _ATTEMPT_AND_DURATION + 1 + 36


def terminal_columns(fd: int) -> int:
    """How wide lines for `fd` may be now. It may be a terminal, whose width may have changed."""
    try:
        columns = os.get_terminal_size(fd).columns
    except OSError:  # it is no terminal, or is one that was closed
        return COLUMNS
    return max(columns, FEWEST_COLUMNS) if columns else COLUMNS


class Console:
    """Renders a line.

    The columns of job types and workers grow with the names that were seen so far. Times are local,
    because people at a terminal compare them with their own clock.
    """

    def __init__(self, *, colors: bool, columns: Callable[[], int]) -> None:
        self._colors = colors
        self._columns = columns
        self._type_width = _JOB_TYPE.start
        self._worker_width = _WORKER_ID.start

    def __call__(self, line: Mapping[str, Any]) -> bytes:
        """The rendered line as UTF-8, without a line break at its end."""
        columns = self._columns()
        fields = dict(line)
        moment = fields.pop("timestamp").astimezone()
        today = moment.date()
        event = one_line(fields.pop("event"))
        level = fields.pop("level")
        traceback = fields.pop("traceback", None)
        self._learn(fields)
        text = " ".join(
            [
                self._paint(_clock(moment, today), _DIM),
                self._paint(f"{_LEVELS.get(level, level):4}", _COLOURS.get(level, "0")),
                self._paint(
                    f"{event:{_EVENT}}",
                    _COLOURS[level] if level in ("warning", "error") else _BOLD,
                ),
            ]
        )
        width = len(_INDENT) + max(_EVENT, len(event))
        job_id = None
        if "job_id" in fields:
            whole = self._type_columns(columns)
            # A longer event takes its columns from the job type, so that all others stay in place.
            type_width = whole - max(len(event) - _EVENT, 0)
            if type_width < _FEWEST_OF_TYPE:
                type_width = whole
            cells = self._take_cells(fields, type_width)
            id_column = len(_INDENT) + _EVENT + 1 + len(cells) + whole - type_width + 1
            if cells := cells.rstrip():  # other fields then begin in the column of workers
                cells = cells.ljust(type_width)
            text += f" {cells}"
            width += 1 + len(cells)
            job_id = _text(fields["job_id"], today)
            if max(width + 1, id_column) + len(job_id) <= columns:
                del fields["job_id"]
            else:
                job_id = None  # it is written below
        pairs = [_pieces(name, value, today) for name, value in fields.items()]
        if job_id is not None:
            extras = _take_fitting(pairs, id_column - 1 - width)
            gap = " " * max(1, id_column - width - len(extras))
            text += extras + gap + self._paint(job_id, _DIM)
            width = max(width + 1, id_column) + len(job_id)
        text += _take_fitting(pairs, columns - width)
        below = [_INDENT + row for row in _fill(pairs, columns - len(_INDENT))]
        if traceback is not None:
            below += [f"    {one_line(row.expandtabs())}" for row in _rows(traceback)]
        return "\n".join((text.rstrip(), *below)).encode("utf-8", "backslashreplace")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colors else text

    def _learn(self, fields: dict[str, Any]) -> None:
        known = fields.get("job_types")  # of `service_started`
        names = [*known] if isinstance(known, list) else []
        names += [fields["job_type"]] if "job_type" in fields else []
        longest = max((len(one_line(name)) for name in names), default=0)
        self._type_width = max(self._type_width, min(longest, _JOB_TYPE[-1]))
        longest = len(one_line(fields.get("worker_id", "")))
        self._worker_width = max(self._worker_width, min(longest, _WORKER_ID[-1]))

    def _type_columns(self, columns: int) -> int:
        if columns < COLUMNS:  # the id is written below anyway
            return self._type_width
        return min(self._type_width, columns - _BESIDE_TYPE_AND_WORKER - self._worker_width)

    def _take_cells(self, fields: dict[str, Any], type_width: int) -> str:
        """Take from `fields` what the columns between event and id hold; gives those columns."""
        job_type = _shortened(one_line(fields.pop("job_type", "")), type_width)
        worker_id = one_line(fields.pop("worker_id", ""))
        attempt = f"#{one_line(fields.pop('attempt'))}" if "attempt" in fields else ""
        seconds = next((fields.pop(name) for name in _DURATIONS if name in fields), "")
        if isinstance(seconds, float) and math.isfinite(seconds):
            seconds = duration(seconds)
        rest = _ATTEMPT_AND_DURATION - len(attempt)
        attempt += f" {one_line(seconds)}".rjust(rest) if seconds != "" else " " * rest
        return f"{job_type:{type_width}} {worker_id:{self._worker_width}} {attempt}"


def duration(seconds: float) -> str:
    """A duration in at most six characters, such as 0.2ms, 125ms, 1.25s, 12m03s or 30h07m."""
    if seconds < 0.01:
        return f"{seconds * 1_000:.1f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1_000:.0f}ms"
    if seconds < 59.995:
        return f"{seconds:.2f}s"
    minutes, whole = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{whole:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def _clock(local: datetime, today: date) -> str:
    text = local.isoformat(timespec="milliseconds")[:23]
    return text[11:] if local.date() == today else text


def _shortened(name: str, width: int) -> str:
    """Both ends of a name that is too long, because similar names often begin alike."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


def _take_fitting(pairs: list[list[str]], room: int) -> str:
    """Take from `pairs` the first ones, as many as fit; gives them with a space before each."""
    taken = ""
    while pairs and len(taken) + 1 + len(text := "".join(pairs[0])) <= room:
        taken += f" {text}"
        del pairs[0]
    return taken


def _fill(pairs: list[list[str]], room: int) -> list[str]:
    """Rows of pairs. A pair that is longer than a row is broken, but only between its pieces."""
    rows: list[str] = []
    for pieces in pairs:
        text = "".join(pieces)
        if rows and len(rows[-1]) + 1 + len(text) <= room:
            rows[-1] += f" {text}"
            continue
        rows.append("")
        for piece in pieces:
            if rows[-1] and len(rows[-1]) + len(piece.rstrip()) > room:
                rows.append("")
            rows[-1] += piece
    return [row.rstrip() for row in rows]


def _pieces(name: object, value: object, today: date) -> list[str]:
    """A field as `name=value`, in pieces that must not be broken."""
    name = one_line(name)
    if value is True:
        return [name]
    if isinstance(value, float) and name.endswith(("_seconds", "_seconds_total")):
        value = str(round(value, 3) or value).removesuffix(".0")
    text = f"{name}={_text(value, today)}"
    return re.split(r"(?<=,)" if _is_collection(value) else r"(?<= )", text)


def _text(value: object, today: date) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        try:
            return _clock(value.astimezone(), today)
        except Exception:  # it has no local time, such as the first and the last day of `datetime`
            return one_line(value)
    if _is_collection(value):
        return ",".join(_quoted(item) for item in value)
    return _quoted(value)


def _is_collection(value: object) -> TypeGuard[Collection[object]]:
    return type(value) in (list, tuple, set, frozenset)  # whose iteration does not raise


def _quoted(value: object) -> str:
    text = printable(value)
    if isinstance(value, str) and (not text or " " in text or not text.isprintable()):
        return repr(text)
    return one_line(text)


def _rows(traceback: object) -> list[str]:
    return printable(traceback).rstrip().split("\n")
