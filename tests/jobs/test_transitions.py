"""The transition table: what may happen to a job in each state, and what may not."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from typing import Final, Literal

import msgspec
import pytest

from job_service.jobs.state.attempt_transitions import (
    complete,
    cut_short,
    fail,
    request_cancel,
    retry,
    snooze,
    start,
)
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import (
    TRANSITIONS,
    Attempt,
    Draft,
    IllegalTransition,
    Job,
    Status,
)
from job_service.jobs.state.transitions import abandon, cancel, enqueue, fail_unstarted
from job_service.telemetry.events import Event
from tests.jobs import desk
from tests.jobs.desk import nothing

EMAIL = Draft("email", b"{}", 3)
CLOCK = Clock(now=lambda: datetime(2026, 1, 31, tzinfo=UTC), monotonic=lambda: 1.0)

Move = Callable[[Job, Attempt], Change]
Where = Status | Literal["ready"]  # a pending job is ready for a worker, or not yet


def status_of(where: Where) -> Status:
    """The job's status there."""
    return "pending" if where == "ready" else where


class Desk(desk.Desk):
    """Jobs by hand, and what was said of them."""

    def __init__(self) -> None:
        self.events = list[Event]()
        super().__init__(CLOCK, self.events.append)

    def job_in(self, where: Where, draft: Draft = EMAIL) -> tuple[Job, Attempt]:
        """A new job that has come to this state as it would in a service, and an attempt at it."""
        job = self.create(draft)
        attempt = Attempt(1, "worker-1", CLOCK.now(), CLOCK.monotonic(), nothing)
        if where != "pending":
            self.apply(enqueue(job, CLOCK))
        if where not in ("pending", "ready"):
            attempt = self.start(job)
        if where in ENDS:
            self.apply(ENDS[where](job, attempt))
        assert job.status == status_of(where)
        return job, attempt

    def seen(self, job: Job) -> tuple[object, ...]:
        """All that a transition could change."""
        kept = [each.id for each in self.live.index.jobs]
        parts = msgspec.structs.astuple(job)
        attempts = [msgspec.structs.astuple(attempt) for attempt in job.attempts]
        return parts, attempts, dict(self.counts), kept, list(self.events), list(self.told.of)


MOVES: Final[dict[str, Move]] = {
    "enqueue": lambda job, _: enqueue(job, CLOCK),
    "start": lambda job, _: start(job, "worker-2", nothing, CLOCK),
    "complete": lambda job, attempt: complete(job, attempt, b'"250 OK"', CLOCK),
    "retry": lambda job, attempt: retry(job, attempt, "ValueError: no", "Traceback …", 5.0, CLOCK),
    "snooze": lambda job, attempt: snooze(job, attempt, 5.0, CLOCK),
    "fail": lambda job, attempt: fail(job, attempt, "ValueError: no", "Traceback: no", CLOCK),
    "fail_unstarted": lambda job, _: fail_unstarted(job, "it comes after another", CLOCK),
    "cancel": lambda job, _: cancel(job, "requested", CLOCK),
    "abandon": lambda job, _: abandon(job, "grace_over", CLOCK),
    "cancel its attempt": lambda job, at: cut_short(job, at, "cancelled", "requested", CLOCK),
    "abandon its attempt": lambda job, at: cut_short(job, at, "abandoned", "grace_over", CLOCK),
    "request_cancel": lambda job, _: request_cancel(job, "requested"),
}
ENDS: Final[dict[Where, Move]] = {
    "completed": MOVES["complete"],
    "failed": MOVES["fail"],
    "cancelled": MOVES["cancel its attempt"],
    "abandoned": MOVES["abandon its attempt"],
}

# What the picture in service/docs/jobs.md shows: from where, by which move, to where, saying what;
# and what whoever brings the jobs to workers is told.
LEGAL: Final[dict[tuple[Where, str], tuple[Status, str, str | None]]] = {
    ("pending", "enqueue"): ("pending", "job_enqueued", None),
    ("pending", "fail_unstarted"): ("failed", "job_failed", "discard"),
    ("pending", "cancel"): ("cancelled", "job_cancelled", "discard"),
    ("pending", "abandon"): ("abandoned", "job_abandoned", "discard"),
    ("ready", "start"): ("processing", "job_started", None),
    ("ready", "cancel"): ("cancelled", "job_cancelled", "discard"),
    ("ready", "abandon"): ("abandoned", "job_abandoned", "discard"),
    ("processing", "complete"): ("completed", "job_completed", "ended"),
    ("processing", "retry"): ("pending", "job_retried", "comes back"),
    ("processing", "snooze"): ("pending", "job_snoozed", "comes back"),
    ("processing", "fail"): ("failed", "job_failed", "ended"),
    ("processing", "cancel its attempt"): ("cancelled", "job_cancelled", "ended"),
    ("processing", "abandon its attempt"): ("abandoned", "job_abandoned", "ended"),
}
PLACES: Final[list[Where]] = [*TRANSITIONS, "ready"]
ILLEGAL: Final = [
    (where, move)
    for where, move in product(PLACES, MOVES)
    if (where, move) not in LEGAL and (where, move) != ("processing", "request_cancel")
]


@pytest.mark.parametrize(("where", "move"), LEGAL)
def test_a_legal_move_moves_the_job_and_says_so_once(where: Where, move: str) -> None:
    """Each arrow changes the job's state, is told in one event, and reaches the runner once."""
    desk = Desk()
    job, attempt = desk.job_in(where)
    events, told = len(desk.events), len(desk.told.of)

    desk.apply(MOVES[move](job, attempt))

    to, event, what = LEGAL[where, move]
    assert job.status == to
    assert [each.event for each in desk.events[events:]] == [event]
    assert getattr(desk.events[-1], "job_id", None) == job.id
    assert desk.told.of[told:] == ([] if what is None else [(what, job.id)])
    assert desk.counts["pending"] == (to == "pending")
    assert desk.counts["processing"] == (to == "processing")
    assert (job.finished_at is not None) == (to in ENDS)


@pytest.mark.parametrize(("where", "move"), LEGAL)
def test_to_decide_on_a_move_changes_nothing(where: Where, move: str) -> None:
    """A store may keep a change first, and let it happen later."""
    desk = Desk()
    job, attempt = desk.job_in(where)
    before = desk.seen(job)

    change = MOVES[move](job, attempt)

    assert desk.seen(job) == before
    assert (change.job, change.to) == (job, LEGAL[where, move][0])


@pytest.mark.parametrize(("where", "move"), ILLEGAL)
def test_an_illegal_move_raises_and_changes_nothing(where: Where, move: str) -> None:
    """What the picture has no arrow for is refused, and job, counts and events stay as they are."""
    desk = Desk()
    job, attempt = desk.job_in(where)
    before = desk.seen(job)

    with pytest.raises(IllegalTransition, match=f"{job.id} is {status_of(where)}"):
        MOVES[move](job, attempt)

    assert desk.seen(job) == before


def test_every_state_meets_every_move() -> None:
    """No combination is left out of the tests above but the one of the test below."""
    assert len(LEGAL) + len(ILLEGAL) + 1 == len(PLACES) * len(MOVES)
    ways = {(status_of(where), to) for (where, _), (to, _, _) in LEGAL.items()}
    moves_made = {(status, to) for status, to in ways if to != status}
    assert moves_made == {(status, to) for status in TRANSITIONS for to in TRANSITIONS[status]}


def test_asking_a_running_job_to_end_is_no_transition_yet() -> None:
    """The attempt is interrupted; what became of the job is said when its worker knows."""
    desk = Desk()
    interrupted: list[bool] = []
    job, _ = desk.job_in("ready")
    desk.start(job, lambda: interrupted.append(True))
    before = list(desk.events)

    desk.apply(request_cancel(job, "requested"))

    assert interrupted == [True]
    assert (job.status, desk.events) == ("processing", before)
    assert job.cancel_reason == "requested"


def test_an_ended_attempt_is_never_interrupted_again() -> None:
    """A job that is retried lets go of the worker of its earlier attempt."""
    desk = Desk()
    interrupted: list[str] = []
    job, _ = desk.job_in("ready")
    first = desk.start(job, lambda: interrupted.append("first"))
    desk.apply(retry(job, first, "ValueError: no", "Traceback …", 0, CLOCK))
    first.interrupt()
    desk.apply(enqueue(job, CLOCK))
    desk.start(job, lambda: interrupted.append("second"))
    desk.apply(request_cancel(job, "requested"))

    assert interrupted == ["second"]


def test_a_worker_answers_only_for_the_attempt_that_it_began() -> None:
    """What it says of a job that was retried without it, and runs again, is refused."""
    desk = Desk()
    job, first = desk.job_in("processing")
    desk.apply(retry(job, first, "TimeoutError: left behind", "Traceback …", 0, CLOCK))
    desk.apply(enqueue(job, CLOCK))
    second = desk.start(job)
    before = desk.seen(job)

    with pytest.raises(IllegalTransition):
        complete(job, first, b"null", CLOCK)

    assert desk.seen(job) == before
    assert (first.number, second.number) == (1, 2)
    desk.apply(complete(job, second, b"null", CLOCK))
    assert job.status == "completed"


@pytest.mark.parametrize(("where", "move"), [*LEGAL, ("processing", "request_cancel")])
def test_what_was_decided_of_a_job_that_has_ended_meanwhile_does_nothing(
    where: Where, move: str
) -> None:
    """The service's end comes from another thread, between a decision and its change."""
    desk = Desk()
    job, attempt = desk.job_in(where, Draft("email", b"{}", 3, unique_key="daily"))
    successor = desk.create(Draft("email", b"{}", 3, after=(job.id,)), job)
    late = MOVES[move](job, attempt)
    end = MOVES["abandon its attempt" if where == "processing" else "abandon"]
    desk.apply(end(job, attempt))
    before = desk.seen(job)

    desk.apply(late)

    assert desk.seen(job) == before
    assert (job.status, successor.status) == ("abandoned", "pending")


def test_an_attempt_that_has_ended_meanwhile_ends_no_other() -> None:
    """A worker's late word on the first attempt does nothing to the second."""
    desk = Desk()
    job, first = desk.job_in("processing")
    late = complete(job, first, b"null", CLOCK)
    desk.apply(retry(job, first, "TimeoutError: left behind", "Traceback …", 0, CLOCK))
    desk.apply(enqueue(job, CLOCK))
    desk.start(job)
    before = desk.seen(job)

    desk.apply(late)

    assert desk.seen(job) == before


@pytest.mark.parametrize("move", ["cancel", "abandon"])
@pytest.mark.parametrize("ran", [False, True])
def test_the_end_tells_of_the_attempt_only_if_there_was_one(move: str, ran: bool) -> None:
    """A job ended in mid-run names its worker, attempt and seconds; one that never ran does not."""
    desk = Desk()
    job, attempt = desk.job_in("processing" if ran else "pending")
    desk.apply(MOVES[f"{move} its attempt" if ran else move](job, attempt))
    line = msgspec.json.decode(msgspec.json.encode(desk.events[-1]))

    assert ({"worker_id", "attempt", "run_seconds"} <= line.keys()) == ran
    assert line["reason"] in ("requested", "grace_over")
