"""How much of what a handler logs has room in a line, measured before anything walks through it.

Python writes a list that is nested 100,000 deep in seconds, and the event loop waits meanwhile.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from job_service.failures.exception_groups import is_a
from job_service.failures.names import CUT, exact
from job_service.failures.report import describe
from job_service.failures.size import fits, outline_of_one
from job_service.telemetry.text import MOST_CHARS, MOST_VALUES

MOST_FIELDS: Final = 1_000


def with_room(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a line; what has no room in it is told in short instead.

    Then each has room for an equal share of a line, and those beyond MOST_FIELDS have none.
    """
    if _have_room(fields):
        return fields
    kept = dict(islice(fields.items(), MOST_FIELDS))
    return dict(zip(kept, in_short(list(kept.values())), strict=True))


def in_short(values: Sequence[object]) -> list[object]:
    """All of the values as they are if a line has room for them, else the large ones in short."""
    if fits(values, MOST_VALUES, MOST_CHARS):
        return list(values)
    share = max(len(values), 1)
    most_values, most_chars = MOST_VALUES // share, MOST_CHARS // share
    return [
        value if fits((value,), most_values, most_chars) else _in_short(value, most_chars)
        for value in values
    ]


def _have_room(fields: dict[str, Any]) -> bool:
    """Whether a line has room for all of them. What needs no measure is looked at first."""
    chars = 0
    others = []
    for value in fields.values():
        kind = type(value)  # compared by identity, because a metaclass may compare as it likes
        if kind is str:
            chars += len(value)
        elif not (kind is int or kind is float or kind is bool or value is None):
            others.append(value)
    if chars > MOST_CHARS or len(fields) > MOST_FIELDS:
        return False
    return not others or fits(others, MOST_VALUES - len(fields), MOST_CHARS - chars)


def _in_short(value: object, chars: int) -> str:
    if is_a(value, str):
        return exact(value, chars) + CUT
    return describe(value) if is_a(value, BaseException) else outline_of_one(value)
