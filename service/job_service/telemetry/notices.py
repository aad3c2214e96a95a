"""What happened out of the ordinary: the last such events, however many ordinary ones came since.

The event stream keeps all events, so a busy service pushes a stall of a minute ago out of it. Here
the same again is one notice with a count, so a thousand failures don't push it out either. Each
kind of event has places of its own, so failures of a hundred types don't push it out either.
"""

from collections import defaultdict, deque
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter
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

KEPT_OF_A_KIND: Final = 20
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
KEPT: Final = KEPT_OF_A_KIND * len(NOTABLE)
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
    """The last notices of one service, in a fixed number for each kind of event."""

    def __init__(self) -> None:
        newest_first = partial(deque[Notice], maxlen=KEPT_OF_A_KIND)
        self._by_kind = defaultdict[type[Event], deque[Notice]](newest_first)

    def note(self, event: Event) -> None:
        """Keep an event whose kind is NOTABLE."""
        if type(event) in _MAY_LACK_TRACEBACK:
            event = replace(event, traceback=UNSET)
        alike = self._by_kind[type(event)]
        notice = next(filter(lambda notice: _is_same_again(notice.event, event), alike), None)
        if notice is None:
            notice = Notice(event.timestamp, 0, event)
        else:
            alike.remove(notice)
        notice.times += 1
        notice.event = event
        alike.appendleft(notice)

    def last(self, number: int) -> list[Notice]:
        """So many of them at most, the newest first."""
        newest_first = merge(
            *self._by_kind.values(), key=attrgetter("event.timestamp"), reverse=True
        )
        return list(islice(newest_first, number))


def _is_same_again(one: Event, later: Event) -> bool:
    return (
        getattr(one, "job_type", None) == getattr(later, "job_type", None)
        and later.timestamp - one.timestamp < SAME_FOR
    )
