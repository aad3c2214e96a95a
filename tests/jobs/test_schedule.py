"""When a schedule ticks, also on the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_service.jobs.job_type import InvalidPayload
from job_service.jobs.registry import Registry
from job_service.jobs.schedule import Cron, Every

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


def test_who_starts_between_the_two_waits_for_the_next_day() -> None:
    """At 02:10 of the second time, 02:30 has been."""
    assert ticks("30 2 * * *", utc(10, 25, 1, 10), 1) == [utc(10, 26, 1, 30)]


@pytest.mark.parametrize("start", [utc(3, 29), utc(10, 25)])
def test_every_five_minutes_means_five_minutes_that_pass(start: datetime) -> None:
    """Whatever the clock on the wall shows."""
    expected = [start + timedelta(minutes=5 * number) for number in range(1, 49)]
    assert ticks("*/5 * * * *", start, 48) == expected


@settings(max_examples=60, deadline=None)
@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
    expression=st.sampled_from(["30 2 * * *", "*/5 * * * *", "15,45 1-3 * * *", "0 * * * SUN"]),
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
)
def test_ticks_only_ever_go_on(start: datetime, expression: str, zone: str) -> None:
    """Each is later than the one before, and the first later than the start."""
    moment = start.replace(tzinfo=UTC)
    found = [moment, *islice(Cron(expression, zone).after(moment), 12)]
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(tick.tzinfo is UTC for tick in found)


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("61 * * * *", "UTC", "'61 .*' is not a cron expression: Bad minute"),
        ("daily", "UTC", "'daily' is not a cron expression"),
        ("0 0 * * *", "Mars/Base", "there is no time zone 'Mars/Base'"),
        ("0 0 * * *", "../etc", "there is no time zone"),
        ("0 0 * * *", "", "there is no time zone"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month|never comes"),
    ],
)
def test_a_mistake_is_told_at_registration(expression: str, zone: str, message: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(ValueError, match=message):
        Registry().cron(expression, tz=zone)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_an_interval_is_above_0(seconds: float) -> None:
    """No time is no interval."""
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Every(seconds)


def test_a_schedule_is_a_job_type_with_all_its_options(registry: Registry) -> None:
    """It is named after its function, and goes along where its registry is included."""

    @registry.every(30, timeout=5)
    async def refresh() -> None: ...

    outer = Registry()
    outer.include(registry)
    assert outer.lookup("refresh").timeout == 5
    assert [schedule.job_type for schedule in outer.schedules] == ["refresh"]


def test_a_payload_is_checked_at_registration(registry: Registry) -> None:
    """What the handler does not take leaves nothing behind."""

    async def nightly(deep: bool) -> None: ...

    with pytest.raises(InvalidPayload, match="'nightly': its handler does not take its payload: E"):
        registry.cron("0 3 * * *", payload="yes")(nightly)
    with pytest.raises(InvalidPayload, match="'x': its handler takes a payload, but a tick has no"):
        registry.every(30, name="x")(nightly)
    assert (registry.names, registry.schedules) == ([], [])
