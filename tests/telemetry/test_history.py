"""The history: what the metrics were, second by second, for an hour, whoever looked meanwhile."""

import random
from datetime import timedelta

import msgspec
import pytest

from job_service.telemetry.counting import Metrics
from job_service.telemetry.events import Event, JobCancelled, JobCreated, JobStarted, utc_now
from job_service.telemetry.history import BYTES, SECONDS, History, HistoryView
from job_service.telemetry.metrics import COUNTERS, MetricsSnapshot
from tests.telemetry.sample import sample
from tests.telemetry.test_metrics import LIVES, Clock

CREATED = sample(JobCreated)
SERIES = HistoryView.__struct_fields__[2:]


class Service:
    """What listens to the events of a service, in their order, and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics(100, self.clock)
        self.history = History(self.metrics.live, self.clock)

    def happens(self, *events: Event, seconds_later: float = 0.0) -> None:
        """These events, so much later; the service looks at each second's end."""
        then = self.clock.now + seconds_later
        while (left := self.history.seconds_left) <= then - self.clock.now:
            self.clock.now += left
            self.history.catch_up()
        self.clock.now = then
        for event in events:
            self.history.observe(event)
            self.metrics.observe(event)

    def last(self, seconds: int, step: int = 1) -> HistoryView:
        """What a reader is told."""
        return self.history.read(seconds, step)


@pytest.fixture
def service() -> Service:
    """One that has just begun."""
    return Service()


def of_type(job_type: str) -> Event:
    """A job of this type begins."""
    return msgspec.structs.replace(sample(JobStarted), job_type=job_type)


def test_each_second_has_what_happened_in_it(service: Service) -> None:
    """Nobody looked, and still each second has its own events, and no others."""
    service.happens(CREATED, CREATED, seconds_later=0.5)
    service.happens(CREATED, seconds_later=0.75)
    service.happens(seconds_later=1.0)
    assert service.last(10).jobs_created == [2, 1]
    assert service.last(10).jobs_pending == [2, 3]


def test_a_second_is_told_when_it_is_over(service: Service) -> None:
    """What happens in the present second is not half told."""
    service.happens(CREATED, seconds_later=0.9)
    assert service.last(10).jobs_created == []
    service.happens(seconds_later=0.1)
    assert service.last(10).jobs_created == [1]


def test_quiet_seconds_are_filled(service: Service) -> None:
    """While nothing happens counters stand still, and gauges stay where they are."""
    service.happens(CREATED)
    service.happens(CREATED, seconds_later=5.0)
    service.happens(seconds_later=3.0)
    assert service.last(10).jobs_created == [1, 0, 0, 0, 0, 1, 0, 0]
    assert service.last(10).jobs_pending == [1, 1, 1, 1, 1, 2, 2, 2]


def test_a_step_has_the_sum_of_counters_and_the_peak_of_gauges(service: Service) -> None:
    """A queue that was full for a second is seen in its minute."""
    service.happens(CREATED, CREATED, CREATED, seconds_later=61.0)
    service.happens(sample(JobCancelled), seconds_later=2.0)
    service.happens(seconds_later=57.0)
    told = service.last(SECONDS, 60)
    assert told.jobs_created == [0, 3]
    assert told.jobs_pending == [0, 3]
    assert service.last(1).jobs_pending == [2]


def test_an_hour_is_kept_and_no_more(service: Service) -> None:
    """After two hours the last one is told whole, and what was before it is forgotten."""
    for _ in range(2 * SECONDS):
        service.happens(CREATED)
        service.happens(seconds_later=1.0)
    told = service.last(SECONDS, 1)
    assert told.jobs_created == [1] * SECONDS
    assert told.jobs_pending == list(range(SECONDS + 1, 2 * SECONDS + 1))
    assert service.last(SECONDS, 60).jobs_created == [60] * 60


def test_a_pause_of_more_than_an_hour_is_quiet(service: Service) -> None:
    """However long nothing happens, the last hour is as it was."""
    service.happens(CREATED)
    service.happens(CREATED, seconds_later=10.0 * SECONDS)
    service.happens(seconds_later=1.0)
    told = service.last(SECONDS, 1)
    assert told.jobs_created == [0] * (SECONDS - 1) + [1]
    assert told.jobs_pending == [1] * (SECONDS - 1) + [2]


def test_its_memory_is_fixed(service: Service) -> None:
    """All of it is there from the start, and a busy day takes no more."""
    columns = service.history._columns.values()
    before = [(id(column), column.buffer_info()) for column in columns]
    for _ in range(SECONDS + 5):
        service.happens(CREATED, seconds_later=1.0)
    assert [(id(column), column.buffer_info()) for column in columns] == before
    assert sum(len(column) * column.itemsize for column in columns) == BYTES < 500_000


def test_the_age_of_the_oldest_ready_job_grows_over_quiet_seconds(service: Service) -> None:
    """A queue that no longer moves is seen by a line that rises, though nothing happens."""
    service.history.watch(lambda: service.clock.now - 2.5)
    service.happens(seconds_later=1.0)
    assert service.last(10).jobs_oldest_ready_seconds == [2.5]
    since = service.clock.now
    service.history.watch(lambda: since)
    service.happens(seconds_later=3.0)
    assert service.last(10).jobs_oldest_ready_seconds == [2.5, 1.0, 2.0, 3.0]
    service.history.watch(lambda: None)
    service.happens(seconds_later=1.0)
    assert service.last(1).jobs_oldest_ready_seconds == [0.0]


def test_all_steps_together_are_what_the_metrics_say(service: Service) -> None:
    """Whatever happens, and however it is cut into steps: nothing is lost or told twice."""
    chance = random.Random(0)
    for _ in range(300):
        life, _ = LIVES[chance.choice(sorted(LIVES))]
        for event in life:
            service.happens(event, seconds_later=chance.expovariate(10.0))
    service.happens(seconds_later=1.0)
    now = service.metrics.snapshot()
    counters = {counter.name for counter in COUNTERS}
    for step in (1, 7, 60):
        seconds = int(service.clock.now - 1_000.0) // step * step
        told = service.last(seconds, step)
        for name in counters.intersection(SERIES):
            missed = getattr(now, name) - sum(getattr(told, name))
            assert missed >= 0
            if step == 1:
                assert missed == pytest.approx(0)


def test_series_are_named_as_metrics(service: Service) -> None:
    """Whoever knows `/metrics` knows the history, and each series has as many steps."""
    assert set(SERIES) <= set(MetricsSnapshot.__struct_fields__)
    service.happens(seconds_later=5.0)
    told = service.last(4, 2)
    assert {len(getattr(told, name)) for name in SERIES} == {2}
    assert told.step_seconds == 2


def test_it_says_when_the_last_step_ended(service: Service) -> None:
    """So that a reader can put the steps on an axis of time."""
    service.happens(seconds_later=3.25)
    before = utc_now()
    ended_at = service.last(3).ended_at
    assert before <= ended_at + timedelta(seconds=0.25) <= utc_now()


def test_the_pace_of_a_type_is_that_of_the_last_minute(service: Service) -> None:
    """So many begun a second; less than a minute after the start, over the time since then."""
    service.happens(of_type("a"), of_type("a"), of_type("b"))
    assert service.history.starts_per_second() == {}
    service.happens(seconds_later=2.0)
    assert service.history.starts_per_second() == {"a": 1.0, "b": 0.5}
    service.happens(seconds_later=28.0)
    service.happens(of_type("b"))
    service.happens(seconds_later=31.0)
    assert service.history.starts_per_second() == {"b": 1 / 60}
    service.happens(seconds_later=100.0)
    assert service.history.starts_per_second() == {}
