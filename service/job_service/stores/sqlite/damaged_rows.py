"""Which rows that are no jobs can't be read, and what a service makes of them at its start."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import answer_of, group_of, text_of
from job_service.stores.sqlite.rows import KeyRow
from job_service.stores.sqlite.said_before import ending_of, moment_of, state_of

T = TypeVar("T")

_EFFECTS: Final = {
    "keys": "requests with such keys are refused, as if they had been used for others",
    "keyed_ends": "once their jobs are kept no more, repeated requests show these as at first",
    "groups": "they are not known, and nothing follows on their ends; their jobs run",
    "schedules": "they make up for no missed ticks, and are paused if their pause can't be read",
    "pauses": "they hold up nothing",
}


class DamagedRows(NamedTuple):
    """So many rows of a table can't be read; `error` is why, of the first, and `effect` what then.

    Of a schedule, each time that can't be read counts.
    """

    table: str
    rows: int
    error: str
    effect: str


def damaged_rows(file: JobFile, now: datetime) -> Iterator[DamagedRows]:
    """Those of each table, if there are any. Keys that count no more are left out."""
    for table, errors in _errors(file, now):
        found = list(errors)
        if found:
            yield DamagedRows(table, len(found), str(found[0]), _EFFECTS[table])


def _errors(file: JobFile, now: datetime) -> Iterator[tuple[str, Iterable[ValueError]]]:
    keys, ends = file.keys(text_of(now))
    yield "keys", _failures(_require_answer, keys)
    yield "keyed_ends", _failures(ending_of, ends.values())
    yield "groups", _failures(group_of, file.groups())
    of_schedules = list[ValueError]()
    for schedule in file.schedules():
        state_of(schedule, now, of_schedules)
    yield "schedules", of_schedules
    yield "pauses", _failures(_require_text, file.pauses())


def _failures(read: Callable[[T], object], rows: Iterable[T]) -> Iterator[ValueError]:
    for row in rows:
        try:
            read(row)
        except ValueError as error:
            yield error


def _require_answer(key: KeyRow) -> None:
    moment_of(key.until)
    answer_of(key)


def _require_text(job_type: str) -> None:
    if "\ufffd" in job_type:
        raise ValueError(f"{job_type!r} was no UTF-8")
