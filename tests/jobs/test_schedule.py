"""When a schedule ticks, also on the days on which clocks change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service import InvalidPayload, Registry
from job_service.jobs.registration.schedule import Cron, Every

BERLIN = "Europe/Berlin"


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A moment of 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def ticks(expression: str, after: datetime, count: int) -> list[datetime]:
    """The next ticks in Berlin."""
    return list(islice(Cron(expression, BERLIN).after(after), count))


def test_a_time_that_clocks_skip_comes_as_soon_as_they_have() -> None:
    """02:30 does not exist on 29 March; the job runs at 03:00, once."""
    expected = [utc(3, 28, 1, 30), utc(3, 29, 1), utc(3, 30, 0, 30)]
    assert ticks("30 2 * * *", utc(3, 28), 3) == expected


def test_a_time_that_comes_twice_is_run_the_first_time() -> None:
    """02:30 comes twice on 25 October."""
    expected = [utc(10, 24, 0, 30), utc(10, 25, 0, 30), utc(10, 26, 1, 30)]
    assert ticks("30 2 * * *", utc(10, 24), 3) == expected


def test_a_start_between_the_two_waits_for_the_next_day() -> None:
    """At the second 02:10, 02:30 has already come."""
    assert ticks("30 2 * * *", utc(10, 25, 1, 10), 1) == [utc(10, 26, 1, 30)]


@pytest.mark.parametrize("start", [utc(3, 29), utc(10, 25)])
def test_every_five_minutes_means_five_minutes_that_pass(start: datetime) -> None:
    """Whatever the clocks show."""
    expected = [start + timedelta(minutes=5 * number) for number in range(1, 49)]
    assert ticks("*/5 * * * *", start, 48) == expected


@settings(max_examples=60)
@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
    expression=st.sampled_from(["30 2 * * *", "*/5 * * * *", "15,45 1-3 * * *", "0 * * * SUN"]),
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
)
def test_ticks_only_ever_go_on(start: datetime, expression: str, zone: str) -> None:
    """Each tick is later than the one before, and the first is later than the start."""
    moment = start.replace(tzinfo=UTC)
    found = [moment, *islice(Cron(expression, zone).after(moment), 12)]
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(tick.tzinfo is UTC for tick in found)


MINUTE = timedelta(minutes=1)
CHANGE_FROM, CHANGE_TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 12, 31, tzinfo=UTC)


@cache
def changes() -> list[tuple[str, datetime]]:
    """Each change of clocks in these years, once for all zones that change alike."""
    found: dict[object, tuple[str, datetime]] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        day, before = CHANGE_FROM, CHANGE_FROM.astimezone(zone).utcoffset()
        while day < CHANGE_TO:
            day += timedelta(days=1)
            after = day.astimezone(zone).utcoffset()
            if after != before:
                found.setdefault((day, before, after), (name, day))
            before = after
    return list(found.values())


def debians_cron(expression: str, zone: str, start: datetime, minutes: int) -> Iterator[datetime]:
    """What Debian's cron.c does, minute by minute: it goes by what the clocks show.

    If a job is at a fixed time, it makes up for skipped minutes, and leaves out repeated ones.
    """
    minute_field, hour_field = expression.split()[:2]
    wildcard = minute_field[0] == "*" or hour_field[0] == "*"
    at = numbers(minute_field, 60), numbers(hour_field, 24)
    reached: datetime | None = None
    for now in (start + MINUTE * number for number in range(minutes)):
        shown = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        passed = 1 if reached is None else (shown - reached) // MINUTE
        corrected = abs(passed) >= 180
        if wildcard or corrected:
            due = [shown]
        else:
            due = [shown - MINUTE * back for back in range(passed)]
        if reached is None or passed > 0 or corrected:
            reached = shown
        if any(each.minute in at[0] and each.hour in at[1] for each in due):
            yield now


def numbers(field: str, end: int) -> set[int]:
    """The numbers that a field of a cron expression stands for."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (0, end - 1) if span == "*" else (int(low), int(high or low))
        found |= set(range(first, last + 1, int(step or 1)))
    return found


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_at_every_change_of_clocks_it_ticks_as_debians_cron_does(data: st.DataObject) -> None:
    """In every zone, forward and back, by half an hour or by two."""
    zone, change = data.draw(st.sampled_from(changes()))
    minutes = data.draw(
        st.sampled_from(["*", "*/5", "*/7", "30", "0,30", "45", "59", "5,10,50", "0-20/4", "40-59"])
    )
    hours = data.draw(
        st.sampled_from(
            ["*", "*/3", "*/2", "0", "1", "2", "3", "23", "3,9", "0-4", "1-3/2", "1,2,3"]
        )
    )
    expression, start = f"{minutes} {hours} * * *", change - timedelta(hours=30)
    expected = list(debians_cron(expression, zone, start, 40 * 60))
    found = takewhile(
        lambda tick: tick < start + timedelta(hours=40),
        Cron(expression, zone).after(start - timedelta(seconds=1)),
    )
    assert list(found) == expected


@pytest.mark.slow
@settings(max_examples=40)
@given(
    change=st.deferred(lambda: st.sampled_from(changes())),
    minutes=st.integers(-300, 300),
    expression=st.sampled_from(["* */3 * * *", "30 2 * * *", "*/20 1-3 * * *", "0 0 * * *"]),
)
def test_the_ticks_do_not_depend_on_when_one_asks(
    change: tuple[str, datetime], minutes: int, expression: str
) -> None:
    """Later, the same ticks follow, without those that have passed."""
    zone, day = change
    cron, moment = Cron(expression, zone), day + MINUTE * minutes
    end = day + timedelta(days=2)
    all_ticks = list(takewhile(lambda tick: tick < end, cron.after(day - timedelta(days=2))))
    later = list(takewhile(lambda tick: tick < end, cron.after(moment)))
    assert later == [tick for tick in all_ticks if tick > moment]


@pytest.mark.parametrize(
    ("nickname", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@Daily ", "0 0 * * *"),
    ],
)
def test_a_nickname_is_what_cron_means_by_it(nickname: str, expression: str) -> None:
    """All nicknames of times are known."""
    assert ticks(nickname, utc(3, 28), 3) == ticks(expression, utc(3, 28), 3)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Europe/Dublin", "Africa/Casablanca"])
def test_a_rare_moment_is_found(zone: str) -> None:
    """Even years ahead, in zones with and without changes of clocks."""
    (leap_day,) = islice(Cron("30 12 29 2 *", zone).after(utc(3, 1)), 1)
    assert leap_day.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime(2028, 2, 29, 12, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("61 * * * *", "UTC", "'61 .*' is not a cron expression: Bad minute"),
        ("daily", "UTC", "'daily' is not a cron expression"),
        ("@never", "UTC", "'@never' is not a cron expression"),
        ("@reboot", "UTC", "@reboot is not supported"),
        ("0 0 * * *", "Mars/Base", "there is no time zone 'Mars/Base'"),
        ("0 0 * * *", "../etc", "there is no time zone"),
        ("0 0 * * *", "", "there is no time zone"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month|never ticks"),
    ],
)
def test_a_mistake_is_refused_at_registration(expression: str, zone: str, message: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(ValueError, match=message):
        Registry().cron(expression, tz=zone)


@pytest.mark.parametrize("seconds", ["30", True, None])
def test_an_interval_is_a_number(seconds: Any) -> None:
    """Of seconds."""
    with pytest.raises(TypeError, match="seconds must be a number of seconds"):
        Every(seconds)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_an_interval_is_above_0(seconds: float) -> None:
    """Zero, less, and nan are refused."""
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Every(seconds)


def test_a_schedule_is_a_job_type_with_all_its_options(registry: Registry) -> None:
    """It has the name of its function, and comes with its registry when that is included."""

    @registry.every(30, timeout=5)
    async def refresh() -> None: ...

    outer = Registry()
    outer.include(registry)
    assert outer.lookup("refresh").timeout == 5
    assert [schedule.job_type for schedule in outer.schedules] == ["refresh"]


def test_a_payload_is_checked_at_registration(registry: Registry) -> None:
    """If the handler does not take it, nothing is registered."""

    async def nightly(deep: bool) -> None: ...

    with pytest.raises(InvalidPayload, match="'nightly': its handler does not take its payload: E"):
        registry.cron("0 3 * * *", payload="yes")(nightly)
    with pytest.raises(InvalidPayload, match="'x': its handler needs a payload, and the sched"):
        registry.every(30, name="x")(nightly)
    assert (registry.names, registry.schedules) == ([], [])
