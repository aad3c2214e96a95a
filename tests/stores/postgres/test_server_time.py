"""What time a process takes it to be, after the server has said it."""

from datetime import UTC, datetime, timedelta

import pytest

from job_service.stores.postgres.server_time import ServerTime

NOON = datetime(2026, 6, 1, 12, 0, 0, 500_000, UTC)


class Elapsed:
    """Time that elapses when a test says so."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("said_seconds", "then_seconds"),
    [
        pytest.param(9.9, 10.0, id="an answer that came late moves it back by nothing"),
        pytest.param(10.2, 10.2, id="an answer that came sooner than the one before is better"),
        pytest.param(-3_600, -3_600, id="a clock that was set back is followed"),
        pytest.param(3_600, 3_600, id="a clock that was set ahead is followed"),
    ],
)
def test_it_goes_on_from_what_the_server_said(said_seconds: float, then_seconds: float) -> None:
    """Ten seconds later the server says it again."""
    elapsed = Elapsed()
    time = ServerTime(elapsed)
    time.learn(NOON)
    assert time.now() == NOON
    elapsed.seconds += 10
    assert time.now() == NOON + timedelta(seconds=10)
    time.learn(NOON + timedelta(seconds=said_seconds))
    assert time.now() == NOON + timedelta(seconds=then_seconds)


def test_it_is_never_on_a_full_second() -> None:
    """So that all timestamps have the same width."""
    time = ServerTime(Elapsed())
    time.learn(NOON.replace(microsecond=0))
    assert time.now() == NOON.replace(microsecond=1)
