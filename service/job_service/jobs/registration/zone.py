"""A time zone as periods, within each of which its offset from UTC stays the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

_DAY = timedelta(days=1)  # no zone changes its clocks twice in a day
_SECOND = timedelta(seconds=1)


class Stretch(NamedTuple):
    """From `start` to before `end`, both in UTC, the zone's clocks are ahead of UTC by `offset`."""

    start: datetime
    end: datetime
    offset: timedelta

    @property
    def first(self) -> datetime:
        """What the clocks show at its start, as a naive datetime."""
        return self.shown(self.start)

    @property
    def last(self) -> datetime:
        """What the clocks would show at its end if they did not change then."""
        return self.shown(self.end)

    def shown(self, moment: datetime) -> datetime:
        """What the clocks show at this moment of it."""
        return (moment + self.offset).replace(tzinfo=None)

    def moment(self, shown: datetime) -> datetime:
        """The moment, in UTC, at which the clocks show this."""
        return shown.replace(tzinfo=UTC) - self.offset


def stretches(zone: tzinfo, start: datetime) -> Iterator[Stretch]:
    """All stretches from `start` on, each of at most a day; `start` is a whole second in UTC."""
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
    assert offset is not None  # noqa: S101  # no zone gives None
    return offset
