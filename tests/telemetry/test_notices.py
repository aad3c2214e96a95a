"""The notices: what was out of the ordinary is still told when much else has happened since."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from job_service.telemetry.events import (
    EVENTS,
    Event,
    JobAbandoned,
    JobCompleted,
    JobFailed,
    JobRetried,
    LoopStalled,
    QueueFull,
    QueuePaused,
    RequestFailed,
    WorkerStopped,
)
from job_service.telemetry.notices import KEPT, KEPT_OF_A_KIND, NOTABLE, Notices
from tests.telemetry.sample import MOMENT, sample


def at(seconds: float, kind: type[Event], **fields: Any) -> Event:
    """An event of this kind, so many seconds after the first."""
    return replace(sample(kind, **fields), timestamp=MOMENT + timedelta(seconds=seconds))


@pytest.fixture
def notices() -> Notices:
    """None yet."""
    return Notices()


def test_the_newest_come_first(notices: Notices) -> None:
    """What happened last is read first, and as many are told as are asked for."""
    kinds: list[type[Event]] = [QueueFull, LoopStalled, QueuePaused]
    for seconds, kind in enumerate(kinds):
        notices.note(at(seconds, kind))
    assert [type(notice.event) for notice in notices.last(2)] == [QueuePaused, LoopStalled]


def test_the_same_again_is_counted(notices: Notices) -> None:
    """A thousand failures of two types that take turns are two notices, and push nothing out."""
    notices.note(at(0, QueueFull))
    for number in range(1_000):
        notices.note(at(number / 100, JobFailed, job_type=("a", "b")[number % 2]))
    newest, other, first = notices.last(10)
    assert (newest.times, newest.event.timestamp) == (500, MOMENT + timedelta(seconds=9.99))
    assert (other.times, other.first_at) == (500, MOMENT)
    assert isinstance(first.event, QueueFull)


def test_after_a_quiet_minute_it_is_told_anew(notices: Notices) -> None:
    """Yesterday's failure and today's are two notices."""
    for seconds in (0, 59, 118, 178):
        notices.note(at(seconds, JobFailed))
    assert [notice.times for notice in notices.last(10)] == [1, 3]


def test_so_many_of_a_kind_are_kept(notices: Notices) -> None:
    """The oldest go first."""
    for number in range(KEPT_OF_A_KIND + 10):
        notices.note(at(number, JobFailed, job_type=f"type-{number}"))
    told = notices.last(KEPT)
    assert len(told) == KEPT_OF_A_KIND
    assert told[-1].event.timestamp == MOMENT + timedelta(seconds=10)


def test_no_kind_pushes_out_another(notices: Notices) -> None:
    """If a thousand types fail, each stall, pause and drain before that is still told."""
    others = sorted(NOTABLE - {JobFailed}, key=lambda kind: kind.__name__)
    for seconds, kind in enumerate(others):
        notices.note(at(seconds, kind))
    for number in range(1_000):
        notices.note(at(len(others) + number / 100, JobFailed, job_type=f"type-{number}"))
    told = [type(notice.event) for notice in notices.last(KEPT)]
    assert told == [JobFailed] * KEPT_OF_A_KIND + others[::-1]


def test_all_that_is_kept_can_be_read(notices: Notices) -> None:
    """Also if each kind has filled its places."""
    for number in range(KEPT_OF_A_KIND):
        for kind in NOTABLE:
            notices.note(at(100 * number, kind))
    assert len(notices.last(KEPT)) == KEPT


def test_a_traceback_is_not_kept_twice(notices: Notices) -> None:
    """That of a job is with the job. That of a bug of ours is nowhere else, and stays."""
    notices.note(at(0, JobFailed, traceback="Traceback"))
    notices.note(at(1, RequestFailed, traceback="Traceback"))
    ours, of_job = (notice.event for notice in notices.last(2))
    assert getattr(ours, "traceback", None) == "Traceback"
    assert getattr(of_job, "traceback", None) is UNSET


def test_what_goes_well_is_no_notice() -> None:
    """Every warning and error is one, but a retry, which a job is allowed."""
    assert {JobCompleted, JobRetried}.isdisjoint(NOTABLE)
    assert {JobFailed, JobAbandoned, LoopStalled, WorkerStopped, QueuePaused} <= NOTABLE
    assert all(kind in EVENTS.values() for kind in NOTABLE)
