"""The transition table: what may happen to a job in each state, and what may not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Final, Literal

import msgspec
import pytest

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import TRANSITIONS, Draft, IllegalTransition, Job, Status
from job_service.jobs.state.transitions import JobStore
from job_service.telemetry.events import Event


def nothing() -> None:
    """What interrupts an attempt that nobody watches."""


Move = Callable[[JobStore, Job], object]
Where = Status | Literal["ready"]  # a pending job is ready for a worker, or not yet


def status_of(where: Where) -> Status:
    """The job's status there."""
    return "pending" if where == "ready" else where


@dataclass
class Desk:
    """A store, and what it said."""

    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = Clock(now=lambda: datetime(2026, 1, 31, tzinfo=UTC), monotonic=lambda: 1.0)
        self.store = JobStore(self.events.append, clock, capacity=10, retain=10)

    def job_in(self, where: Where) -> Job:
        """A new job that has come to this state by the moves a service would make."""
        job = self.store.create(Draft("email", b"{}", 3))
        if where != "pending":
            self.store.enqueue(job)
        if where not in ("pending", "ready"):
            self.store.start(job, "worker-1", nothing)
        if where in ENDS:
            ENDS[where](self.store, job)
        assert job.status == status_of(where)
        return job

    def seen(self, job: Job) -> tuple[object, ...]:
        """All that a transition could change."""
        kept = [each.id for each in self.store.jobs]
        parts = msgspec.structs.astuple(job)
        attempts = [msgspec.structs.astuple(attempt) for attempt in job.attempts]
        counts = dict(self.store._index.counts)
        return parts, attempts, counts, kept, list(self.events)


MOVES: Final[dict[str, Move]] = {
    "enqueue": lambda store, job: store.enqueue(job),
    "start": lambda store, job: store.start(job, "worker-2", nothing),
    "complete": lambda store, job: store.complete(job, b'"250 OK"'),
    "retry": lambda store, job: store.retry(job, "ValueError: no", "Traceback …", 5.0),
    "snooze": lambda store, job: store.snooze(job, 5.0),
    "fail": lambda store, job: store.fail(job, "ValueError: no", "Traceback: no"),
    "fail_unstarted": lambda store, job: store.fail_unstarted(job, "it comes after another"),
    "cancel": lambda store, job: store.cancel(job, "requested"),
    "abandon": lambda store, job: store.abandon(job, "grace_over"),
    "request_cancel": lambda store, job: store.request_cancel(job, "requested"),
}
ENDS: Final[dict[Where, Move]] = {
    "completed": MOVES["complete"],
    "failed": MOVES["fail"],
    "cancelled": MOVES["cancel"],
    "abandoned": MOVES["abandon"],
}
# What the picture in the README shows: from where, by which move, to where, saying what.
LEGAL: Final[dict[tuple[Where, str], tuple[Status, str]]] = {
    ("pending", "enqueue"): ("pending", "job_enqueued"),
    ("pending", "fail_unstarted"): ("failed", "job_failed"),
    ("pending", "cancel"): ("cancelled", "job_cancelled"),
    ("pending", "abandon"): ("abandoned", "job_abandoned"),
    ("ready", "start"): ("processing", "job_started"),
    ("ready", "cancel"): ("cancelled", "job_cancelled"),
    ("ready", "abandon"): ("abandoned", "job_abandoned"),
    ("processing", "complete"): ("completed", "job_completed"),
    ("processing", "retry"): ("pending", "job_retried"),
    ("processing", "snooze"): ("pending", "job_snoozed"),
    ("processing", "fail"): ("failed", "job_failed"),
    ("processing", "cancel"): ("cancelled", "job_cancelled"),
    ("processing", "abandon"): ("abandoned", "job_abandoned"),
}
PLACES: Final[list[Where]] = [*TRANSITIONS, "ready"]
ILLEGAL: Final = [
    (where, move)
    for where, move in product(PLACES, MOVES)
    if (where, move) not in LEGAL and (where, move) != ("processing", "request_cancel")
]


@pytest.mark.parametrize(("where", "move"), LEGAL)
def test_a_legal_move_moves_the_job_and_says_so_once(where: Where, move: str) -> None:
    """Each arrow of the picture changes the job's state and is told in exactly one event."""
    desk = Desk()
    job = desk.job_in(where)
    before = len(desk.events)

    MOVES[move](desk.store, job)

    to, event = LEGAL[where, move]
    assert job.status == to
    assert [each.event for each in desk.events[before:]] == [event]
    assert getattr(desk.events[-1], "job_id", None) == job.id
    assert desk.store.pending == (to == "pending")
    assert desk.store.processing == (to == "processing")
    assert (job.finished_at is not None) == (to in ENDS)


@pytest.mark.parametrize(("where", "move"), ILLEGAL)
def test_an_illegal_move_raises_and_changes_nothing(where: Where, move: str) -> None:
    """What the picture has no arrow for is refused, and job, counts and events stay as they are."""
    desk = Desk()
    job = desk.job_in(where)
    before = desk.seen(job)

    with pytest.raises(IllegalTransition, match=f"{job.id} is {status_of(where)}"):
        MOVES[move](desk.store, job)

    assert desk.seen(job) == before


def test_every_state_meets_every_move() -> None:
    """No combination is left out of the two tests above but the one of the test below."""
    assert len(LEGAL) + len(ILLEGAL) + 1 == len(PLACES) * len(MOVES)
    ways = {(status_of(where), to) for (where, _), (to, _) in LEGAL.items()}
    moves_made = {(status, to) for status, to in ways if to != status}
    assert moves_made == {(status, to) for status in TRANSITIONS for to in TRANSITIONS[status]}


def test_asking_a_running_job_to_end_is_no_transition_yet() -> None:
    """The attempt is interrupted; what became of the job is said when its worker knows."""
    desk = Desk()
    interrupted: list[bool] = []
    job = desk.store.create(Draft("email", b"{}", 3))
    desk.store.enqueue(job)
    desk.store.start(job, "worker-1", lambda: interrupted.append(True))
    before = list(desk.events)

    desk.store.request_cancel(job, "requested")

    assert interrupted == [True]
    assert (job.status, desk.events) == ("processing", before)
    assert job.cancel_reason == "requested"


def test_an_ended_attempt_is_never_interrupted_again() -> None:
    """A job that is retried lets go of the worker of its earlier attempt."""
    desk = Desk()
    interrupted: list[str] = []
    job = desk.store.create(Draft("email", b"{}", 3))
    desk.store.enqueue(job)
    desk.store.start(job, "worker-1", lambda: interrupted.append("first"))
    desk.store.retry(job, "ValueError: no", "Traceback …", 0)
    job.attempts[0].interrupt()
    desk.store.enqueue(job)
    desk.store.start(job, "worker-2", lambda: interrupted.append("second"))
    desk.store.request_cancel(job, "requested")

    assert interrupted == ["second"]


@pytest.mark.parametrize("move", ["cancel", "abandon"])
@pytest.mark.parametrize("ran", [False, True])
def test_the_end_tells_of_the_attempt_only_where_there_was_one(move: str, ran: bool) -> None:
    """A job ended in mid-run names its worker, attempt and seconds; one that never ran does not."""
    desk = Desk()
    MOVES[move](desk.store, desk.job_in("processing" if ran else "pending"))
    line = msgspec.json.decode(msgspec.json.encode(desk.events[-1]))

    assert ({"worker_id", "attempt", "run_seconds"} <= line.keys()) == ran
    assert line["reason"] in ("requested", "grace_over")
