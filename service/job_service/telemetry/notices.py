"""What happened out of the ordinary: the last such events, however many ordinary ones came since.

The event stream keeps all events, so a busy service pushes a stall of a minute ago out of it. Here
the same again is one notice with a count, so a thousand failures don't push it out either.
"""

from collections import deque
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import fields, replace

from job_service.telemetry.events import (
    EVENTS,
    Event,
    JobReleased,
    JobRetried,
    QueueFreed,
    QueuePaused,
    QueueResumed,
    SchedulePaused,
    ScheduleResumed,
    ServiceDraining,
    StoreBackedUp,
    StoreRecovered,
    WorkerStopped,
)

KEPT: Final = 100
SAME_FOR: Final = timedelta(minutes=1)

_INFOS: Final[tuple[type[Event], ...]] = (
    *(ServiceDraining, WorkerStopped, JobReleased, StoreRecovered),
    *(QueueFreed, QueuePaused, QueueResumed, SchedulePaused, ScheduleResumed, StoreBackedUp),
)
# Retries are in the metrics. A job that has failed for good is told here.
NOTABLE: Final = frozenset(
    kind
    for kind in EVENTS.values()
    if (kind in _INFOS or fields(kind)[1].default != "info") and kind is not JobRetried
)
_MAY_LACK_TRACEBACK: Final = frozenset(
    kind
    for kind in NOTABLE
    if any(field.name == "traceback" and field.default is UNSET for field in fields(kind))
)


class Notice(Struct, eq=False):
    """Something out of the ordinary. The traceback of a job's failure is with its job.

    `event` is the last of `times` that were alike, of which the first came at `first_at`. They are
    alike if they have the same name and job type, and less than a minute lies between them.
    """

    first_at: datetime
    times: int
    event: Event


class Notices:
    """The last notices of one service, in a fixed number."""

    def __init__(self) -> None:
        self._newest_first = deque[Notice](maxlen=KEPT)

    def note(self, event: Event) -> None:
        """Keep an event whose kind is NOTABLE."""
        if type(event) in _MAY_LACK_TRACEBACK:
            event = replace(event, traceback=UNSET)
        notice = next(filter(lambda notice: _alike(notice.event, event), self._newest_first), None)
        if notice is None:
            notice = Notice(event.timestamp, 0, event)
        else:
            self._newest_first.remove(notice)
        notice.times += 1
        notice.event = event
        self._newest_first.appendleft(notice)

    def last(self, number: int) -> list[Notice]:
        """So many of them at most, the newest first."""
        return list(islice(self._newest_first, number))


def _alike(one: Event, later: Event) -> bool:
    return (
        type(one) is type(later)
        and getattr(one, "job_type", None) == getattr(later, "job_type", None)
        and later.timestamp - one.timestamp < SAME_FOR
    )
