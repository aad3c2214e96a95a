"""What `/metrics` answers: counters that only rise, gauges that follow, and a sum that is right."""

from itertools import chain, zip_longest
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from job_service.telemetry.counting import Metrics
from job_service.telemetry.events import (
    ConnectionRefused,
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDuplicate,
    JobEdited,
    JobEnqueued,
    JobFailed,
    JobLost,
    JobRejected,
    JobReleased,
    JobRescued,
    JobRetried,
    JobsClaimed,
    JobSnoozed,
    JobsRecovered,
    JobsReleased,
    JobStarted,
    LogLinesDropped,
    LoopStalled,
    QueuePaused,
    QueueResumed,
    ScheduleSkipped,
    StoreCommitted,
    StoreFailed,
    StoreOpened,
    ThreadAbandoned,
    ThreadReturned,
    WorkerStarted,
    WorkerStopped,
)
from job_service.telemetry.metrics import COUNTERS, MetricsSnapshot
from tests.telemetry.sample import EVENT_KINDS, name_of, sample

RAN = {"worker_id": "worker-1", "attempt": 1, "run_seconds": 0.5}

# Each event that counts, and by how much it changes which metrics.
COUNTED: list[tuple[Event, dict[str, float]]] = [
    (sample(JobCreated), {"jobs_created": 1, "jobs_pending": 1}),
    (sample(JobEnqueued), {"jobs_ready": 1}),
    (
        sample(JobStarted, wait_seconds=0.25),
        {
            "jobs_pending": -1,
            "jobs_ready": -1,
            "jobs_in_progress": 1,
            "jobs_started": 1,
            "wait_seconds_total": 0.25,
        },
    ),
    (
        sample(JobCompleted, run_seconds=0.5),
        {"jobs_completed": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (
        sample(JobRetried, run_seconds=0.5),
        {"jobs_retried": 1, "jobs_pending": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (sample(JobFailed), {"jobs_failed": 1, "jobs_pending": -1}),
    (
        sample(JobSnoozed, run_seconds=0.5),
        {"jobs_snoozed": 1, "jobs_pending": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (
        sample(JobFailed, **RAN),
        {"jobs_failed": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (sample(JobCancelled), {"jobs_cancelled": 1, "jobs_pending": -1}),
    (
        sample(JobCancelled, wait_seconds=0.5),
        {"jobs_cancelled": 1, "jobs_pending": -1, "jobs_ready": -1},
    ),
    (
        sample(JobCancelled, **RAN),
        {"jobs_cancelled": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (
        sample(JobCancelled, **RAN | {"run_seconds": 0.0}),
        {"jobs_cancelled": 1, "jobs_in_progress": -1},
    ),
    (sample(JobAbandoned), {"jobs_abandoned": 1, "jobs_pending": -1}),
    (
        sample(JobAbandoned, **RAN),
        {"jobs_abandoned": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (sample(StoreOpened, jobs_pending=3), {"jobs_claimed": 3, "jobs_pending": 3}),
    (sample(JobsRecovered, jobs=2), {"jobs_ready": 2}),
    (
        sample(JobReleased, run_seconds=0.5),
        {"jobs_released": 1, "jobs_in_progress": -1, "run_seconds_total": 0.5},
    ),
    (sample(JobLost), {"jobs_released": 1, "jobs_in_progress": -1}),
    (sample(JobsClaimed, jobs=3), {"jobs_claimed": 3, "jobs_pending": 3}),
    (
        sample(JobsReleased, jobs=3, ready=2),
        {"jobs_released": 3, "jobs_pending": -3, "jobs_ready": -2},
    ),
    (sample(StoreCommitted, commit_seconds=0.5), {"store_commits": 1, "store_seconds_total": 0.5}),
    (sample(StoreFailed), {"store_errors": 1}),
    (sample(JobRejected), {"jobs_rejected": 1}),
    (sample(WorkerStarted), {"workers_running": 1}),
    (sample(WorkerStopped), {"workers_running": -1}),
    (sample(LoopStalled), {"loop_stalls": 1}),
    (sample(LogLinesDropped, lines=40), {"log_lines_dropped": 40}),
    (sample(ConnectionRefused), {"connections_refused": 1}),
    (sample(JobDuplicate), {"jobs_deduplicated": 1}),
    (sample(JobEdited, wait_seconds=0.5), {"jobs_ready": -1}),
    (sample(QueuePaused), {"queue_paused": 1}),
    (sample(QueuePaused, job_type="echo"), {"job_types_paused": 1}),
    (sample(QueueResumed, job_type="echo"), {"job_types_paused": -1}),
    (sample(ScheduleSkipped, reason="missed", ticks=3), {"ticks_skipped": 3}),
    (sample(ThreadAbandoned), {"threads_abandoned": 1}),
    (sample(ThreadReturned), {"threads_abandoned": -1}),
]

COUNTED_KINDS = {type(event) for event, _ in COUNTED}
UNCOUNTED = [kind for kind in EVENT_KINDS if kind not in COUNTED_KINDS and kind is not QueueResumed]

BEGUN: list[Event] = [sample(JobCreated), sample(JobEnqueued), sample(JobStarted)]
CLAIMED: list[Event] = [
    sample(StoreOpened, jobs_pending=1),
    sample(JobsRecovered, jobs=1),
    sample(JobStarted),
]
AGAIN: list[Event] = [sample(JobRetried), sample(JobEnqueued), sample(JobStarted)]

# Each way a job can live, and where it is counted in the end.
LIVES: dict[str, tuple[list[Event], str]] = {
    "waiting": (BEGUN[:2], "jobs_pending"),
    "running": (BEGUN, "jobs_in_progress"),
    "waiting for a retry": ([*BEGUN, AGAIN[0]], "jobs_pending"),
    "completed": ([*BEGUN, sample(JobCompleted)], "jobs_completed"),
    "completed at the third attempt": (
        [*BEGUN, *AGAIN, *AGAIN, sample(JobCompleted)],
        "jobs_completed",
    ),
    "snoozing": ([*BEGUN, sample(JobSnoozed)], "jobs_pending"),
    "failed": ([*BEGUN, sample(JobFailed, **RAN)], "jobs_failed"),
    "failed after a retry": ([*BEGUN, *AGAIN, sample(JobFailed, **RAN)], "jobs_failed"),
    "failed without an attempt": ([BEGUN[0], sample(JobFailed)], "jobs_failed"),
    "cancelled before its time": ([BEGUN[0], sample(JobCancelled)], "jobs_cancelled"),
    "cancelled while waiting": (
        [*BEGUN[:2], sample(JobCancelled, wait_seconds=0.5)],
        "jobs_cancelled",
    ),
    "cancelled while running": ([*BEGUN, sample(JobCancelled, **RAN)], "jobs_cancelled"),
    "cancelled before a retry": ([*BEGUN, AGAIN[0], sample(JobCancelled)], "jobs_cancelled"),
    "abandoned while waiting": (
        [*BEGUN[:2], sample(JobAbandoned, wait_seconds=0.5)],
        "jobs_abandoned",
    ),
    "abandoned while running": ([*BEGUN, sample(JobAbandoned, **RAN)], "jobs_abandoned"),
    "abandoned before a retry": ([*BEGUN, AGAIN[0], sample(JobAbandoned)], "jobs_abandoned"),
    "claimed": (CLAIMED[:1], "jobs_pending"),
    "rescued": ([CLAIMED[0], sample(JobRescued, reason="restart")], "jobs_pending"),
    "rescued and completed": (
        [CLAIMED[0], sample(JobRescued, reason="restart"), *CLAIMED[1:], sample(JobCompleted)],
        "jobs_completed",
    ),
    "claimed and failed without an attempt": ([CLAIMED[0], sample(JobFailed)], "jobs_failed"),
    "released while running": ([*BEGUN, sample(JobReleased)], "jobs_released"),
    "claimed, and released while running": ([*CLAIMED, sample(JobReleased)], "jobs_released"),
    "lost": ([*CLAIMED, sample(JobLost)], "jobs_released"),
}

STATES = [
    "jobs_completed",
    "jobs_failed",
    "jobs_cancelled",
    "jobs_abandoned",
    "jobs_released",
    "jobs_in_progress",
    "jobs_pending",
]


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock that `metrics` goes by."""
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    """The metrics of a service that has just begun."""
    return Metrics(queue_capacity=100, monotonic=clock)


def read(metrics: Metrics) -> dict[str, Any]:
    """The metrics, after checking that their sum is right and nothing is below zero."""
    now = asdict(metrics.snapshot())
    assert now["jobs_created"] + now["jobs_claimed"] == sum(now[state] for state in STATES)
    assert min(now.values()) >= 0
    return now


def test_metrics_come_in_the_order_of_the_contract(metrics: Metrics) -> None:
    """`GET /metrics` has these fields in this order, and a service starts with all at zero."""
    assert list(asdict(metrics.snapshot()).items()) == [
        ("jobs_created", 0),
        ("jobs_completed", 0),
        ("jobs_failed", 0),
        ("jobs_retried", 0),
        ("jobs_in_progress", 0),
        ("jobs_pending", 0),
        ("jobs_cancelled", 0),
        ("jobs_abandoned", 0),
        ("jobs_rejected", 0),
        ("workers_running", 0),
        ("queue_capacity", 100),
        ("wait_seconds_total", 0.0),
        ("run_seconds_total", 0.0),
        ("loop_stalls", 0),
        ("log_lines_dropped", 0),
        ("uptime_seconds", 0.0),
        ("connections_refused", 0),
        ("jobs_ready", 0),
        ("jobs_snoozed", 0),
        ("jobs_deduplicated", 0),
        ("queue_paused", 0),
        ("job_types_paused", 0),
        ("ticks_skipped", 0),
        ("jobs_bytes", 0),
        ("threads_abandoned", 0),
        ("jobs_claimed", 0),
        ("jobs_released", 0),
        ("store_commits", 0),
        ("store_errors", 0),
        ("store_seconds_total", 0.0),
        ("jobs_started", 0),
        ("jobs_oldest_ready_seconds", 0.0),
    ]


@pytest.mark.parametrize(
    ("event", "changes"), COUNTED, ids=[f"{event.event}-{len(how)}" for event, how in COUNTED]
)
def test_an_event_changes_exactly_what_it_means(
    metrics: Metrics, event: Event, changes: dict[str, float]
) -> None:
    """Each event moves its own counters and gauges and leaves all others alone."""
    before = asdict(metrics.snapshot())
    metrics.observe(event)
    after = asdict(metrics.snapshot())
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == (
        changes
    )


@pytest.mark.parametrize("kind", UNCOUNTED, ids=name_of)
def test_all_other_events_change_nothing(metrics: Metrics, kind: type[Event]) -> None:
    """An event that is only logged leaves the metrics as they are."""
    before = metrics.snapshot()
    metrics.observe(sample(kind))
    assert metrics.snapshot() == before


@pytest.mark.parametrize(("life", "end"), LIVES.values(), ids=LIVES)
def test_each_job_is_counted_once_all_through_its_life(
    metrics: Metrics, life: list[Event], end: str
) -> None:
    """At every step of every life, the job is counted in exactly one state; then in its last."""
    for event in life:
        metrics.observe(event)
        read(metrics)
    now = read(metrics)
    assert {state: now[state] for state in STATES if now[state]} == {end: 1}
    assert now["jobs_retried"] == sum(isinstance(event, JobRetried) for event in life)


def test_each_job_is_counted_once_while_many_live_at_once(metrics: Metrics) -> None:
    """Whatever other jobs do between two steps of one, each is counted once."""
    lives = [life for life, _ in LIVES.values()]
    for event in filter(None, chain.from_iterable(zip_longest(*lives))):
        metrics.observe(event)
        read(metrics)
    now = read(metrics)
    ends = [end for _, end in LIVES.values()]
    assert {state: now[state] for state in STATES} == {s: ends.count(s) for s in STATES}


@given(st.lists(st.sampled_from(sorted(LIVES)), max_size=8), st.randoms(use_true_random=False))
def test_the_books_balance_in_every_snapshot(names: list[str], chance: Random) -> None:
    """Whatever jobs there are, and however their events follow each other."""
    metrics = Metrics(queue_capacity=100)
    lives = [iter(LIVES[name][0]) for name in names]
    while lives:
        life = chance.choice(lives)
        event = next(life, None)
        if event is None:
            lives.remove(life)
        else:
            metrics.observe(event)
            read(metrics)
    now = read(metrics)
    ends = [LIVES[name][1] for name in names]
    assert {state: now[state] for state in STATES} == {s: ends.count(s) for s in STATES}


def test_a_counter_only_rises_and_some_event_raises_it() -> None:
    """`service_stopped` has the counters; of a gauge a final value would say nothing."""
    raised = {name for _, how in COUNTED for name, change in how.items() if change > 0}
    lowered = {name for _, how in COUNTED for name, change in how.items() if change < 0}
    counters = {counter.name for counter in COUNTERS}
    assert counters <= raised
    assert not counters & lowered


def test_every_metric_says_what_it_means() -> None:
    """In its schema, and so in the OpenAPI document."""
    _, schemas = msgspec.json.schema_components([MetricsSnapshot])
    properties = schemas["MetricsSnapshot"]["properties"]
    assert list(properties) == list(MetricsSnapshot.__struct_fields__)
    assert all(metric["description"].endswith(".") for metric in properties.values())


def test_workers_running_goes_up_and_down(metrics: Metrics) -> None:
    """The gauge tells the workers that run now, not those that ever ran."""
    seen = []
    for kind in (WorkerStarted, WorkerStarted, WorkerStopped, WorkerStarted, WorkerStopped):
        metrics.observe(sample(kind))
        seen.append(read(metrics)["workers_running"])
    assert seen == [1, 2, 1, 2, 1]


def test_a_resumed_queue_is_not_paused_any_more(metrics: Metrics) -> None:
    """The gauge tells whether the queue is paused now."""
    seen = []
    for kind in (QueuePaused, QueueResumed):
        metrics.observe(sample(kind))
        seen.append(read(metrics)["queue_paused"])
    assert seen == [1, 0]


def test_seconds_add_up_to_the_microsecond(metrics: Metrics) -> None:
    """Totals are sums, without the stray digits that adding fractions leaves."""
    for seconds in (0.1, 0.2):
        metrics.observe(sample(JobCreated))
        metrics.observe(sample(JobEnqueued))
        metrics.observe(sample(JobStarted, wait_seconds=seconds))
        metrics.observe(sample(JobCompleted, run_seconds=seconds))
    now = read(metrics)
    assert (now["wait_seconds_total"], now["run_seconds_total"]) == (0.3, 0.3)


def test_uptime_is_counted_from_the_beginning(metrics: Metrics, clock: Clock) -> None:
    """Uptime is the time since the metrics began, by the monotonic clock."""
    clock.now += 3.5
    assert metrics.snapshot().uptime_seconds == 3.5
    clock.now += 86_400
    assert metrics.snapshot().uptime_seconds == 86_403.5


def test_a_snapshot_stays_as_it_was_taken(metrics: Metrics) -> None:
    """A snapshot can't be changed, neither by its reader nor by what happens later."""
    taken = metrics.snapshot()
    metrics.observe(sample(JobCreated))
    assert taken.jobs_created == 0
    for name in taken.__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(taken, name, 1)


def test_two_services_count_apart(metrics: Metrics) -> None:
    """What one service's metrics hear is not in another's."""
    other = Metrics(queue_capacity=5)
    metrics.observe(sample(JobCreated))
    assert (metrics.snapshot().jobs_created, other.snapshot().jobs_created) == (1, 0)
    assert (metrics.snapshot().queue_capacity, other.snapshot().queue_capacity) == (100, 5)
