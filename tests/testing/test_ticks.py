"""When a schedule runs next can be asked without running it."""

from datetime import UTC, datetime, timedelta

import pytest

from job_service import Registry, UnknownJobType
from job_service.testing import next_ticks

FRIDAY = datetime(2026, 3, 27, 12, tzinfo=UTC)


@pytest.fixture
def registry() -> Registry:
    """Two schedules, and a job type without one."""
    registry = Registry()

    @registry.cron("30 2 * * *", tz="Europe/Berlin")
    async def nightly() -> None: ...

    @registry.every(90)
    async def often() -> None: ...

    @registry.job("mail")
    async def mail() -> None: ...

    return registry


def test_ticks_are_shown_by_the_clocks_of_their_zone(registry: Registry) -> None:
    """Over the night in which the clocks skip 2:30."""
    assert [tick.isoformat() for tick in next_ticks(registry, "nightly", 3, after=FRIDAY)] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_an_interval_counts_from_the_start(registry: Registry) -> None:
    """As if the service had started then."""
    ticks = next_ticks(registry, "often", 2, after=FRIDAY)
    assert ticks == [FRIDAY + timedelta(seconds=90), FRIDAY + timedelta(seconds=180)]


def test_without_a_date_the_next_five_come_from_now_on(registry: Registry) -> None:
    """None of them has passed."""
    ticks = next_ticks(registry, "nightly")
    assert len(ticks) == 5
    assert ticks == sorted(ticks)
    assert ticks[0] > datetime.now(UTC)


def test_what_has_no_schedule_has_no_ticks(registry: Registry) -> None:
    """The error says which of both is wrong."""
    with pytest.raises(ValueError, match="'mail' has no schedule"):
        next_ticks(registry, "mail")
    with pytest.raises(UnknownJobType, match="known are mail, nightly, often"):
        next_ticks(registry, "nigtly")


@pytest.mark.parametrize("job_type", ["nightly", "often"])
def test_a_date_without_a_zone_is_refused_in_words(registry: Registry, job_type: str) -> None:
    """It would be one moment on this machine, and another where the service runs."""
    with pytest.raises(ValueError, match="after must be a date with a time zone, such as UTC"):
        next_ticks(registry, job_type, after=FRIDAY.replace(tzinfo=None))


def test_there_are_no_fewer_ticks_than_none(registry: Registry) -> None:
    """The error names the parameter."""
    assert next_ticks(registry, "often", 0) == []
    with pytest.raises(ValueError, match="count must be 0 or more, not -1"):
        next_ticks(registry, "often", -1)
