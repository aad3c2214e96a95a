"""The log for people: a table of what happened, that fits 100 columns, with tracebacks below."""

from collections.abc import Callable, Mapping
from datetime import datetime
from textwrap import wrap
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

from service.telemetry.text import printable

COLUMNS: Final = 100

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

# The columns of a job's line, by what stands in them, and how wide they are. The id comes last,
# whole, so that it can be copied; with it a line has just 100 columns.
_JOB_COLUMNS: Final[dict[tuple[str, ...], int]] = {
    ("job_type",): 11,
    ("worker_id",): 9,
    ("attempt",): 2,
    ("wait_seconds", "run_seconds"): 6,
}


def console_line(colors: bool) -> Callable[[WrappedLogger, str, EventDict], bytes]:
    """What renders a line as a processor of structlog does.

    The time is that of the local clock: who reads along on a terminal compares it with the wall's.
    """

    def paint(text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colors else text

    def render(_: WrappedLogger, level: str, line: EventDict) -> bytes:
        fields = dict(line)
        event = _one_line(fields.pop("event"))
        level = fields.pop("level", level)
        story = fields.pop("traceback", None)
        head = [
            paint(_time(fields.pop("timestamp")), _DIM),
            paint(f"{_LEVELS.get(level, level):4}", _COLOURS.get(level, "0")),
            paint(f"{event:13}", _COLOURS[level] if level in ("warning", "error") else _BOLD),
        ]
        width = len(_INDENT) + max(13, len(event))
        if "job_id" in fields:
            cells = _take_cells(fields)
            job_id = _value(fields.pop("job_id"))
            head += [*cells, paint(job_id, _DIM)]
            width += sum(1 + len(cell) for cell in cells) + 1 + len(job_id)
        text = " ".join(head) + _rest(fields, width)
        if story is not None:
            text = "\n".join((text, *_below(story)))
        return text.encode("utf-8", "backslashreplace")

    return render


def _time(moment: datetime | str) -> str:
    if isinstance(moment, str):  # as it is in the builtins of an event
        moment = datetime.fromisoformat(moment)
    return moment.astimezone().isoformat(timespec="milliseconds")[11:23]


def _take_cells(fields: dict[str, Any]) -> list[str]:
    cells = []
    for names, width in _JOB_COLUMNS.items():
        name = next((name for name in names if name in fields), None)
        text = "" if name is None else _cell(name, fields.pop(name))
        cells.append(text.rjust(width) if "run_seconds" in names else text.ljust(width))
    return cells


def _cell(name: str, value: Any) -> str:
    if name == "attempt":
        return f"#{_value(value)}"
    return duration(value) if isinstance(value, float) else _value(value)


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


def _rest(fields: Mapping[str, Any], width: int) -> str:
    """The other fields: behind the line where they fit, and else below it."""
    if not fields:
        return ""
    pairs = [f"{_one_line(name)}={_value(value)}" for name, value in fields.items()]
    if width + sum(1 + len(pair) for pair in pairs) <= COLUMNS:
        return " " + " ".join(pairs)
    lines = [""]
    for pair in pairs:
        if lines[-1] and len(_INDENT) + len(lines[-1]) + 1 + len(pair) <= COLUMNS:
            lines[-1] += f" {pair}"
        else:
            lines += wrap(pair, COLUMNS - len(_INDENT), break_on_hyphens=False)
    return "".join(f"\n{_INDENT}{line}" for line in lines[1:])


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = printable(value)
    if isinstance(value, str) and (not text or " " in text or not text.isprintable()):
        return repr(text)
    return _one_line(text)


def _one_line(value: object) -> str:
    """Text in which nothing can break the line, nor speak to the terminal."""
    text = printable(value)
    return text if text.isprintable() else repr(text)[1:-1]


def _below(story: object) -> list[str]:
    return [f"    {_one_line(line.expandtabs())}" for line in printable(story).rstrip().split("\n")]
