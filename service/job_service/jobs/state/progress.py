"""How far a running job has come, and how often that is worth an event."""

import math

import msgspec

from job_service.failures.names import encodable

MAX_NOTE_CHARS = 200
TELL_EVERY_SECONDS = 0.25
LARGEST_NUMBER = 1e18  # every JSON library knows what is below


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last report of a handler: how much is done, of how much, in any unit, and a note."""

    done: int | float
    total: int | float | None = None
    note: str | None = None


class Meter(msgspec.Struct, eq=False):
    """The progress of one attempt, and what of it has been told."""

    latest: Progress | None = None
    told_at: float = -math.inf
    reached_total: bool = False

    def read(self, progress: Progress, now: float) -> bool:
        """Note the progress; whether it is to be told, at this moment of the monotonic clock."""
        self.latest = progress
        reaches_total = progress.done == progress.total and not self.reached_total
        if not reaches_total and now < self.told_at + TELL_EVERY_SECONDS:
            return False
        self.reached_total |= reaches_total
        self.told_at = now
        return True


def check_progress(done: float, total: float | None, note: str | None) -> Progress:
    """What a handler says, with its note cut off after MAX_NOTE_CHARS.

    Raises TypeError or ValueError where it says what can't be.
    """
    done = _number("done", done)
    if total is not None:
        total = _number("total", total)
        if done > total:
            raise ValueError(f"done must not be more than total: {done} of {total}")
    if note is not None:
        if not isinstance(note, str):
            raise TypeError(f"note must be a text, not {note!r}")
        note = encodable(note[:MAX_NOTE_CHARS])[:MAX_NOTE_CHARS]
    return Progress(done, total, note)


def _number(name: str, value: float) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} must be between 0 and {LARGEST_NUMBER:g}, not {value}")
    return int(value) if isinstance(value, int) else float(value)  # no subclass, as of NumPy
