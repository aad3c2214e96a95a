"""Writes as JSON whatever a handler logs: there is a text for any value, and it never raises."""

from typing import Any, Final

from msgspec import json

from job_service.failures.names import CUT, exact
from job_service.json_text.nesting import MAX_DEPTH, is_too_deep
from job_service.telemetry.text import MOST_CHARS, printable

_MOST_FIELDS: Final = 5  # of those that are too long together


def render_json(line: dict[str, Any]) -> bytes:
    """An object of JSON with all that is in the line, as far as JSON can carry it.

    The line must have been measured (`room.py`), because this walks through all of it.
    """
    try:
        return _encode(line, enc_hook=_printed)
    except KeyboardInterrupt:
        raise
    except BaseException:
        # Handlers may log what JSON can't carry: a lone surrogate, a list that holds itself, an
        # object whose repr raises. Or it is nested too deeply for readers of the log. The line must
        # be written all the same.
        return json.encode({printable(key): _encodable(value) for key, value in line.items()})


def render_short(line: dict[str, Any], max_chars: int) -> bytes:
    """The same in about so many characters at most: then it has the beginnings of its first values.

    A value of several lines, as a traceback is, has its end instead.
    """
    text = render_json(line)
    if len(text) <= max_chars:
        return text
    kept = max_chars // _MOST_FIELDS
    first = list(line.items())[:_MOST_FIELDS]
    return render_json({printable(key)[:kept]: _cut(value, kept) for key, value in first})


def _printed(value: object) -> str:
    return exact(repr(value), MOST_CHARS)


def _cut(value: object, chars: int) -> str:
    text = printable(value)
    if len(text) <= chars:
        return text
    return CUT + text[-chars:] if "\n" in text else text[:chars] + CUT


def _encodable(value: object) -> object:
    try:
        _encode(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return printable(value)
    return value


def _encode(value: object, enc_hook: Any = None) -> bytes:
    text = json.encode(value, enc_hook=enc_hook)
    if is_too_deep(text):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return text
