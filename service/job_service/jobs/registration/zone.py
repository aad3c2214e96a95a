"""The time that a zone's clocks show, in stretches in which they are not changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

_DAY = timedelta(days=1)  # no zone changes its clocks forth and back in a day
_SECOND = timedelta(seconds=1)


class Stretch(NamedTuple):
    """From `start` until before `end`, in UTC, the zone's clocks are ahead by `offset`."""

    start: datetime
    end: datetime
    offset: timedelta

    @property
    def first(self) -> datetime:
        """What the clocks show at its start, without a zone."""
        return self.shown(self.start)

    @property
    def last(self) -> datetime:
        """What they would show at its end, were they not changed then."""
        return self.shown(self.end)

    def shown(self, moment: datetime) -> datetime:
        """What they show at this moment of it."""
        return (moment + self.offset).replace(tzinfo=None)

    def moment(self, shown: datetime) -> datetime:
        """When they show this."""
        return shown.replace(tzinfo=UTC) - self.offset


def stretches(zone: tzinfo, start: datetime) -> Iterator[Stretch]:
    """Without end, from `start` on, which is in UTC and a whole second; each of a day at most."""
    while True:
        offset = _offset(zone, start)
        end = start + _DAY
        if _offset(zone, end) != offset:
            end = _change_between(zone, start, end)
        yield Stretch(start, end, offset)
        start = end


def _change_between(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    offset = _offset(zone, before)
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101  # of a zone it never is
    return offset
