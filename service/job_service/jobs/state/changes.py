"""What can be done to a job, as values: each change is one.

`transitions` decides on a change, and a store applies it. Between the two nothing has happened. The
event of a change has the moment of the decision, however late it is told.

A change holds the live job and not its id, because whoever decides has the job at hand, and a look
into a table would cost each change as much as all of its bookkeeping.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from job_service.jobs.state.job_log import LogLine
from job_service.jobs.state.model import Attempt, AttemptOutcome, Job, Status
from job_service.jobs.state.progress import Progress
from job_service.telemetry.events import JobEvent


class Change(msgspec.Struct, frozen=True, gc=False):
    """One thing that happens to one job; `to` is the status that the job has afterwards."""

    job: Job
    to: Status


class Transition(Change, frozen=True, gc=False):
    """A step of the job's way, which exactly one event tells."""

    event: JobEvent


class Creation(Transition, frozen=True, gc=False):
    """A submission becomes a job, which may start after all of `predecessors` have completed."""

    predecessors: Sequence[Job] = ()


class Readiness(Change, frozen=True, gc=False):
    """Nothing but a worker is missing, from `since` on; seconds of the monotonic clock.

    Whoever makes many jobs ready may tell of all at once, and not of each.
    """

    event: JobEvent | None
    since: float


class Edited(Transition, frozen=True, gc=False):
    """A client changed a job that waits; what is None stays.

    A job that `is_moved` waits anew for its time and its turn.
    """

    run_at: datetime | None
    priority: int | None
    payload: bytes | None
    limit_key: str | None  # of the payload, if that changes
    by: str | None  # who asked for it, if they have a name
    is_moved: bool


class Start(Transition, frozen=True, gc=False):
    """A worker begins `attempt`."""

    attempt: Attempt


class AttemptEnd(Transition, frozen=True, gc=False):
    """`attempt` is over, and so is the job, unless it is to be ready again in `ready_in` seconds.

    `error` and `traceback` are what the handler left, and `result` is JSON text. If a process died
    in it, nobody knows its `run_seconds`.
    """

    attempt: Attempt
    outcome: AttemptOutcome
    finished_at: datetime
    run_seconds: float | None
    error: str | None = None
    traceback: str | None = None
    result: bytes | None = None
    ready_in: float | None = None


class UnstartedEnd(Transition, frozen=True, gc=False):
    """The job ends without a run that is under way; `failure` says why, if it has failed.

    `by` is the name of who called it off.
    """

    finished_at: datetime
    failure: str | None = None
    by: str | None = None


class ProgressReport(Change, frozen=True, gc=False):
    """The running attempt has come so far. It is told only now and then."""

    progress: Progress
    event: JobEvent | None
    told_at: float | None  # on the monotonic clock; None if it is not told


class LineLogged(Change, frozen=True, gc=False):
    """The handler of `attempt` wrote a line. It is not told if there are too many."""

    attempt: Attempt
    line: LogLine
    event: JobEvent | None


class CancelRequest(Change, frozen=True, gc=False):
    """The running attempt is to be interrupted; its worker says what became of it."""

    reason: str
    by: str | None
