"""The last hour: the metrics by the second, and what happened, in a fixed amount of memory.

At the end of each second the service lets the history copy those metrics that charts show. That is
cheaper than a look at the clock for each event, of which there are many in a second. If the loop is
late, so is the copy, and what happened meanwhile is told with the second before.

Its numbers are those of `/metrics` and can't differ from them. The history itself counts only how
many jobs of each type begin, because no metric tells that, and it keeps what is notable.
"""

import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import sub
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from job_service.telemetry.emitter import Listener, Observer
from job_service.telemetry.events import Event, JobStarted, utc_now
from job_service.telemetry.metrics import COUNTERS, LiveMetrics
from job_service.telemetry.notices import NOTABLE, Notices

SECONDS: Final = 3_600
PACE_SECONDS: Final = 60
_SLOTS: Final = SECONDS + 1  # how much a counter grew takes one value more


class HistoryView(Struct, frozen=True):
    """The last steps of some metrics, the oldest first: one value for each step.

    Of a counter it is how much it grew in the step, of a gauge the highest value that it had at the
    end of a second. `ended_at` is when the last step ended. There are fewer steps than asked for if
    the service has not run for so long.
    """

    ended_at: datetime
    step_seconds: int
    jobs_created: list[int]
    jobs_started: list[int]
    jobs_completed: list[int]
    jobs_failed: list[int]
    jobs_retried: list[int]
    jobs_cancelled: list[int]
    jobs_rejected: list[int]
    wait_seconds_total: list[float]
    jobs_pending: list[int]
    jobs_ready: list[int]
    jobs_in_progress: list[int]
    jobs_oldest_ready_seconds: list[float]
    threads_abandoned: list[int]
    loop_stalls: list[int]
    store_errors: list[int]


_NAMES: Final = HistoryView.__struct_fields__[2:]
_CODES: Final = {
    field.name: "d" if field.type.__origin__ is float else "q" for field in fields(LiveMetrics)
}
_COUNTERS: Final = frozenset(counter.name for counter in COUNTERS)
_OLDEST: Final = "jobs_oldest_ready_seconds"

BYTES: Final = 8 * _SLOTS * len(_NAMES)  # of the arrays, from the start on


class History(Listener):
    """One service's history, whose owner calls `catch_up` every `seconds_left`.

    `live` are the metrics as they are now. `monotonic` is their clock.
    """

    def __init__(self, live: LiveMetrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._monotonic = monotonic
        self.notices = Notices()
        self._began = monotonic()
        self._over = 0  # so many seconds
        # The slot of a second has what was so at its end. Slot 0 has the start, when all was 0.
        self._columns: dict[str, array[Any]] = {
            name: array(_CODES[name], bytes(8 * _SLOTS)) for name in _NAMES
        }
        self._oldest_ready: Callable[[], float | None] = lambda: None
        self._started = defaultdict[str, int](int)  # by job type, of which there are only so many
        self._started_by = deque[Mapping[str, int]]([{}], PACE_SECONDS + 1)  # the end of a second

    def watch(self, oldest_ready: Callable[[], float | None]) -> None:
        """No event tells `oldest_ready`: since when the oldest ready job is ready, by the clock."""
        self._oldest_ready = oldest_ready

    def observer_of(self, kind: type[Event]) -> Observer | None:
        """What counts such an event, or keeps it, if the metrics do not tell enough of it."""
        if kind is JobStarted:
            return self._count_start
        return self.notices.note if kind in NOTABLE else None

    def _count_start(self, event: Event) -> None:
        if isinstance(event, JobStarted):
            self._started[event.job_type] += 1

    @property
    def seconds_left(self) -> float:
        """How long the present second still lasts; 0 or less if it is over."""
        return self._began + self._over + 1.0 - self._monotonic()

    def catch_up(self) -> None:
        """Close all seconds that are over, with the metrics as they are now."""
        over = int(self._monotonic() - self._began)
        if over == self._over:
            return
        seconds = range(max(self._over + 1, over - SECONDS), over + 1)
        for name, column in self._columns.items():
            value = getattr(self._live, name)
            for second in seconds:
                column[second % _SLOTS] = value
        self._note_oldest(seconds)
        self._started_by.extend([dict(self._started)] * min(len(seconds), PACE_SECONDS + 1))
        self._over = over

    def read(self, span_seconds: int, step_seconds: int) -> HistoryView:
        """The last `span_seconds`, at most SECONDS, in steps of so many seconds."""
        self.catch_up()
        steps = min(span_seconds, self._over) // step_seconds
        ended_at = utc_now() - timedelta(seconds=self._monotonic() - self._began - self._over)
        columns = (self._steps(name, steps, step_seconds) for name in _NAMES)
        return HistoryView(ended_at, step_seconds, *columns)

    def starts_per_second(self) -> Mapping[str, float]:
        """How many jobs of each type have begun a second, over the last minute.

        A type of which none has begun is not among them.
        """
        self.catch_up()
        before, now = self._started_by[0], self._started_by[-1]
        seconds = len(self._started_by) - 1
        begun = {job_type: number - before.get(job_type, 0) for job_type, number in now.items()}
        return {job_type: number / seconds for job_type, number in begun.items() if number}

    def _note_oldest(self, seconds: range) -> None:
        """How old the oldest ready job was at the end of each second: its age grows by itself."""
        since = self._oldest_ready()
        column = self._columns[_OLDEST]
        for second in seconds:
            age = 0.0 if since is None else max(0.0, self._began + second - since)
            column[second % _SLOTS] = age

    def _steps(self, name: str, steps: int, step_seconds: int) -> list[Any]:
        values = self._last(self._columns[name], steps * step_seconds + 1)
        found: Iterable[Any]
        if name in _COUNTERS:
            ends = values[::step_seconds]
            found = map(sub, ends[1:], ends)
        elif step_seconds == 1:
            found = values[1:]
        else:
            begins = range(1, len(values), step_seconds)
            found = (max(values[begin : begin + step_seconds]) for begin in begins)
        return [round(each, 6) for each in found] if _CODES[name] == "d" else list(found)

    def _last(self, column: "array[Any]", number: int) -> Sequence[Any]:
        """The values at the end of the last so many seconds, the oldest first."""
        stop = self._over % _SLOTS + 1
        if number <= stop:
            return column[stop - number : stop]
        return column[stop - number :] + column[:stop]
