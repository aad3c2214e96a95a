"""How far a running job has come, and how often that is worth an event."""

import math

import msgspec

from job_service.failures.names import encodable
from job_service.failures.size import shown

MAX_NOTE_CHARS = 200
TELL_EVERY_SECONDS = 0.25
LARGEST_NUMBER = 1e18  # every JSON library knows what is below


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last report of a handler: how much is done, of how much, in any unit, and a note."""

    done: int | float
    total: int | float | None = None
    note: str | None = None

    @property
    def is_total(self) -> bool:
        """Whether all of it is done."""
        return self.done == self.total


class Meter(msgspec.Struct, eq=False):
    """The progress of one attempt, and when it was last told, on the monotonic clock."""

    latest: Progress
    told_at: float = -math.inf
    has_told_total: bool = False

    def is_worth_telling(self, progress: Progress, now: float) -> bool:
        """Whether it was silent for long enough, or all is done for the first time."""
        return now >= self.told_at + TELL_EVERY_SECONDS or (
            progress.is_total and not self.has_told_total
        )

    def note(self, progress: Progress, told_at: float | None) -> None:
        """The attempt has come so far; `told_at` is None if nobody was told."""
        self.latest = progress
        if told_at is not None:
            self.told_at = told_at
            self.has_told_total |= progress.is_total


def check_progress(done: float, total: float | None, note: str | None) -> Progress:
    """What a handler says, with its note cut off after MAX_NOTE_CHARS.

    Raises TypeError or ValueError if it says what can't be.
    """
    done = _number("done", done)
    if total is not None:
        total = _number("total", total)
        if done > total:
            raise ValueError(f"done must not be more than total: {done} of {total}")
    if note is not None:
        if not isinstance(note, str):
            raise TypeError(f"note must be a text, not {shown(note)}")
        note = encodable(note[:MAX_NOTE_CHARS])[:MAX_NOTE_CHARS]
    return Progress(done, total, note)


def _number(name: str, value: float) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    if not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} must be between 0 and {LARGEST_NUMBER:g}, not {value}")
    return int(value) if isinstance(value, int) else float(value)  # no subclass, as of NumPy
