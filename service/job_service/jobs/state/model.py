"""What a job is: its states, the moves between them, and the record of its attempts."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec
import trio

from job_service.jobs.state.job_log import AttemptLog
from job_service.jobs.state.progress import Meter

AttemptOutcome = Literal[
    "completed", "failed", "snoozed", "cancelled", "abandoned", "interrupted", "lost"
]
Status = Literal["pending", "processing", "completed", "failed", "cancelled", "abandoned"]

TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    # Entered on creation, and again when a failed attempt is to be repeated, a handler wants the
    # job back later, or an attempt ended with its service and the job is kept; left for a worker,
    # for a client who calls it off, when a job that it comes after has not completed, or for a
    # service that ends without having run it.
    "pending": frozenset({"processing", "failed", "cancelled", "abandoned"}),
    # Entered when a worker begins an attempt; left when that attempt is over.
    "processing": frozenset({"completed", "failed", "pending", "cancelled", "abandoned"}),
    # The handler returned, and its result is kept.
    "completed": frozenset(),
    # The last attempt raised, timed out, or was lost with its process once too often; or what it
    # was to come after has not completed.
    "failed": frozenset(),
    # A client called it off before it had ended.
    "cancelled": frozenset(),
    # The service ended before it had, and nothing keeps the job.
    "abandoned": frozenset(),
}

TERMINAL: Final = frozenset(status for status, moves in TRANSITIONS.items() if not moves)

FIRST_PRIORITY: Final = 0
DEFAULT_PRIORITY: Final = 5
LAST_PRIORITY: Final = 9

SHOWN_PREDECESSORS: Final = 10  # of a job's `after`, but for its detail, which has all


class IllegalTransition(Exception):
    """A job was asked to go where the table has no way; nothing was changed."""

    def __init__(self, job_id: str, status: Status, wanted: Status) -> None:
        super().__init__(f"job {job_id} is {status} and can't become {wanted}")


def version_of(status: Status, runs: int, edits: int, is_being_cancelled: bool) -> str:
    """What stands for the state of a job, and differs after each change of it.

    Neither what a running attempt tells nor what a job waits for is a change of the job.
    """
    return f"{status}.{runs}.{edits}{'.cancelling' if is_being_cancelled else ''}"


class Attempt(msgspec.Struct, eq=False, gc=False):
    """One run of a job's handler; the fields with defaults are set when it is over.

    No two attempts of a job have the same `number`, whatever became of them.
    """

    number: int
    worker_id: str
    started_at: datetime
    started_monotonic: float
    interrupt: Callable[[], None]
    finished_at: datetime | None = None
    run_seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None
    traceback: str | None = None  # its end, if it is long
    log: AttemptLog | None = None  # if its handler has written any lines
    is_over: bool = False  # or was never begun


class Ending(msgspec.Struct, eq=False, gc=False):
    """How a job has ended, for those who wait for it, or must know when it is no longer kept."""

    status: Status | None = None  # None until then
    finished_at: datetime | None = None
    awaited: trio.Event | None = None  # made by the first who waits

    def come(self, status: Status, finished_at: datetime) -> None:
        """Now the job has ended: wake those who wait for it."""
        self.status, self.finished_at = status, finished_at
        # If the service's end comes from another thread, nobody is left who could wait.
        if self.awaited is not None and trio.lowlevel.in_trio_run():
            self.awaited.set()

    async def wait(self) -> None:
        """Return when the job has ended. It may be cancelled."""
        if self.status is not None:
            await trio.lowlevel.checkpoint()
            return
        if self.awaited is None:
            self.awaited = trio.Event()
        await self.awaited.wait()


class Draft(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A submission that has been checked, for `JobQueue.submit_all`; `payload` is JSON text.

    Defaults are omitted so that a field that is added does not change what an idempotency key
    stands for.
    """

    type: str
    payload: bytes
    max_retries: int
    priority: int = DEFAULT_PRIORITY
    delay_seconds: float | None = None  # from when it is accepted; or else
    run_at: datetime | None = None
    unique_key: str | None = None
    after: tuple[str, ...] = ()  # the jobs that must have completed before
    retry_of: str | None = None  # the finished job that it runs again
    schedule: str | None = None  # the one that made it
    scheduled_for: datetime | None = None  # its tick, or that of the job it runs again
    limit_key: str | None = None  # for which the limits of its type hold, if they do per key
    debounce_seconds: float | None = None  # as a delay, also of the job that has its unique key
    tags: tuple[str, ...] = ()
    by: str | None = None  # who submits it, if they have a name
    group: str | None = None  # the one that it is a job of
    callback_of: str | None = None  # the group on whose end it follows


class Edit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is to be changed of a job that waits; what is None stays. `payload` is JSON text.

    A payload comes with its own `limit_key`. With `run_now` the job waits for its time no longer,
    whatever `run_at` it had. `by` is who asks for it. It is for a job that has one of the
    `expected` versions.
    """

    run_at: datetime | None = None
    priority: int | None = None
    payload: bytes | None = None
    limit_key: str | None = None
    run_now: bool = False
    by: str | None = None
    expected: tuple[str, ...] | None = None


class Job(msgspec.Struct, eq=False, gc=False):
    """One job as the process that runs it holds it; only `LiveJobs` changes one.

    The garbage collector does not look at jobs and attempts, which would take it a second if a
    million are kept. What they have in circles, such as `successors`, is gone once a job has ended.

    `payload` and `result` are JSON text: each attempt decodes the payload anew, so that none can
    see what an earlier one did to it.
    """

    id: str
    type: str
    payload: bytes
    max_retries: int
    created_at: datetime
    run_at: datetime  # the same object as `created_at` if the job may start at once
    priority: int = DEFAULT_PRIORITY
    unique_key: str | None = None
    after: tuple[str, ...] = ()
    retry_of: str | None = None
    schedule: str | None = None
    scheduled_for: datetime | None = None
    limit_key: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    callback_of: str | None = None
    submitted_by: str | None = None  # if they have a name
    due_monotonic: float | None = None  # while others keep it from waiting for its delay
    row: int = -1  # its place in the table
    weight: int = 0  # bytes of memory, when it was last weighed
    status: Status = "pending"
    ready_monotonic: float | None = None  # since when it is ready for a worker, while it is
    attempts: tuple[Attempt, ...] = ()
    runs: int = 0  # attempts that have begun, and so the number of the last one
    snoozes: int = 0
    interruptions: int = 0  # attempts that ended with their service, at a stop
    losses: int = 0  # attempts that ended with their process, without a word
    is_recovered: bool = False  # from a store; its starts are kept before its handler is called
    meter: Meter | None = None  # of the attempt that began last, if it has told its progress
    result: bytes | None = None
    finished_at: datetime | None = None
    cancel_reason: str | None = None  # set while a running attempt is being interrupted
    cancel_by: str | None = None  # who wants it cancelled, or has cancelled it, if they have a name
    ending: Ending | None = None  # made for those who ask for it, if any do
    awaits: "dict[str, Job] | None" = None  # those of `after` that have not ended yet, by id
    successors: "dict[str, Job] | None" = None  # those that await it, by id
    failure: str | None = None  # why it failed without an attempt
    edits: int = 0  # how often it was changed while it waited
    edited_at: datetime | None = None  # the last time, and
    edited_by: str | None = None  # by whom that was, if they have a name
    answered: str | None = None  # what it was last changed for, if another process asked for it

    @property
    def version(self) -> str:
        """As `version_of`."""
        is_being_cancelled = self.status == "processing" and self.cancel_reason is not None
        return version_of(self.status, self.runs, self.edits, is_being_cancelled)

    @property
    def retries(self) -> int:
        """How many of its `max_retries` are used up.

        The first attempt is none, nor is one that snoozed, or that ended with its service.
        """
        counted = self.runs - self.snoozes - self.interruptions - self.losses
        return counted if self.status == "pending" else max(0, counted - 1)

    @property
    def error(self) -> str | None:
        """Why its last attempt failed, or why it failed without one."""
        return self.attempts[-1].error if self.attempts else self.failure

    @property
    def is_suspect(self) -> bool:
        """Whether its last attempt was lost: perhaps it was this job that ended the process."""
        return self.losses > 0 and self.attempts[-1].outcome == "lost"

    @property
    def runs_alone(self) -> bool:
        """Whether its last two attempts were lost: the next one is to show whether it is guilty."""
        return self.losses > 1 and all(each.outcome == "lost" for each in self.attempts[-2:])
