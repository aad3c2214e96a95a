"""The vocabulary: everything the service can say happened, each as one frozen struct.

An event is its log line: encoded as JSON, its fields are the line's keys in their order. A field
that is UNSET is absent. Fields that end in `_seconds` are durations. All other numbers are counts,
except the `done` and `total` of a job's progress, which are in the handler's own unit.

The docstrings are documentation: `job-service vocabulary` and the OpenAPI document print them.
"""

from datetime import UTC, datetime
from typing import ClassVar, Final, Literal, cast

from msgspec import UNSET, Raw, Struct, UnsetType, defstruct
from msgspec.structs import fields

from job_service.telemetry.metrics import COUNTERS

Level = Literal["debug", "info", "warning", "error", "critical"]  # two of them are of handlers
RejectReason = Literal["full", "draining"]
SkipReason = Literal["overlap", "full", "missed"]
WorkerStopReason = Literal["drained", "cancelled", "crashed"]
RescueReason = Literal["restart", "lease_over"]


def utc_now() -> datetime:
    """The present moment in UTC, never on a full second."""
    now = datetime.now(UTC)
    # Encoders omit the fraction of a full second, and every timestamp shall have the same width.
    return now if now.microsecond else now.replace(microsecond=1)


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened.

    An event that is not `logged` has no line in the log, and one that is not `streamed` is not in
    the stream of events either: it is only counted, in the metrics.
    """

    logged: ClassVar[bool] = True
    streamed: ClassVar[bool] = True

    timestamp: datetime
    level: Level = "info"
    event: str


class ServiceStarted(Event, frozen=True, kw_only=True):
    """Workers run, and HTTP answers at `url`."""

    event: Literal["service_started"] = "service_started"
    version: str
    pid: int
    url: str
    workers: int
    queue_capacity: int
    job_types: list[str]
    store: str


class ServiceDraining(Event, frozen=True, kw_only=True):
    """Submissions are no longer accepted. Jobs have `grace_seconds` to finish."""

    event: Literal["service_draining"] = "service_draining"
    reason: str
    jobs_pending: int
    jobs_in_progress: int
    grace_seconds: float


# The one event with fields that are declared elsewhere: among the metrics.
ServiceStopped: Final = cast(
    "type[Event]",
    defstruct(
        "ServiceStopped",
        [
            ("event", Literal["service_stopped"], "service_stopped"),
            ("reason", str),
            ("uptime_seconds", float),
            *((counter.name, counter.type) for counter in COUNTERS),
            ("error", str | UnsetType, UNSET),
            ("traceback", str | UnsetType, UNSET),
        ],
        bases=(Event,),
        frozen=True,
        kw_only=True,
        module=__name__,
        namespace={
            "__doc__": (
                "The service has ended: why, and the final value of each counter of the metrics. "
                "This is always the last line. It is an error, with `error` and `traceback`, if "
                "the service crashed or a resource could not be opened."
            )
        },
    ),
)


class WorkerStarted(Event, frozen=True, kw_only=True):
    """A worker waits for its first job."""

    event: Literal["worker_started"] = "worker_started"
    worker_id: str


class WorkerStopped(Event, frozen=True, kw_only=True):
    """A worker has ended. `jobs_run` is the number of attempts that it ran."""

    event: Literal["worker_stopped"] = "worker_stopped"
    worker_id: str
    reason: WorkerStopReason
    jobs_run: int


class JobEvent(Event, frozen=True, kw_only=True):
    """Something that happened to one job."""

    job_id: str
    job_type: str


class AttemptEvent(JobEvent, frozen=True, kw_only=True):
    """Something that happened to a job while a worker ran it."""

    worker_id: str
    attempt: int


class JobCreated(JobEvent, frozen=True, kw_only=True):
    """A submission was accepted.

    `run_at` is there if the job starts later, `priority` if it is not the default, and `schedule`
    if a schedule submitted it. If it runs another job again, `retry_of` is that one. `by` is the
    name of who submitted it, or runs that one again. `after` has the jobs that must complete before
    it starts. If there are more than 10, it has the first 10, and `after_count` has their number.
    `group` is the one that it is a job of.
    """

    event: Literal["job_created"] = "job_created"
    run_at: datetime | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    unique_key: str | UnsetType = UNSET
    after: tuple[str, ...] | UnsetType = UNSET
    after_count: int | UnsetType = UNSET
    schedule: str | UnsetType = UNSET
    retry_of: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class JobEdited(JobEvent, frozen=True, kw_only=True):
    """The job was changed on request while it waited: these are its new values.

    If it was to run now, `run_at` is that moment. Of a new payload only the size is told. A job
    that was ready, and waits anew for its turn, has `wait_seconds`. `by` is who asked for it.
    """

    event: Literal["job_edited"] = "job_edited"
    run_at: datetime | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    payload_bytes: int | UnsetType = UNSET
    wait_seconds: float | UnsetType = UNSET
    by: str | UnsetType = UNSET


class JobDuplicate(JobEvent, frozen=True, kw_only=True):
    """A submission made no job, because this job holds its unique key."""

    event: Literal["job_duplicate"] = "job_duplicate"
    unique_key: str


class JobEnqueued(JobEvent, frozen=True, kw_only=True):
    """The job is ready for a worker. After a retry or a snooze `attempt` is the next one."""

    event: Literal["job_enqueued"] = "job_enqueued"
    attempt: int | UnsetType = UNSET


class JobStarted(AttemptEvent, frozen=True, kw_only=True):
    """A worker began an attempt, `wait_seconds` after the job had become ready."""

    event: Literal["job_started"] = "job_started"
    wait_seconds: float


class JobCompleted(AttemptEvent, frozen=True, kw_only=True):
    """The handler returned, and the job is done."""

    event: Literal["job_completed"] = "job_completed"
    run_seconds: float


class JobRetried(AttemptEvent, frozen=True, kw_only=True):
    """The attempt failed, and the next one follows in `retry_in_seconds`."""

    level: Level = "warning"
    event: Literal["job_retried"] = "job_retried"
    run_seconds: float
    error: str
    retry_in_seconds: float


class JobSnoozed(AttemptEvent, frozen=True, kw_only=True):
    """The handler asked to run again in `snooze_seconds`. This costs no retry."""

    event: Literal["job_snoozed"] = "job_snoozed"
    run_seconds: float
    snooze_seconds: float


class JobProgressed(AttemptEvent, frozen=True, kw_only=True):
    """The handler reported its progress. If it reports often, some reports have no event."""

    logged: ClassVar[bool] = False

    event: Literal["job_progressed"] = "job_progressed"
    done: int | float
    total: int | float | UnsetType = UNSET
    note: str | UnsetType = UNSET


class JobLogged(AttemptEvent, frozen=True, kw_only=True):
    """The handler wrote a line with `job.log`: its own event is the `message`.

    The log has the line itself. If a handler writes more than 50 in a second, some have no event.
    """

    logged: ClassVar[bool] = False

    event: Literal["job_logged"] = "job_logged"
    message: str
    fields: Raw | UnsetType = UNSET


class JobFailed(JobEvent, frozen=True, kw_only=True):
    """The job has failed for good.

    It has no attempt if none ended it: a job that it comes after did not complete, or its process
    died each time that it had this job in hand.
    """

    level: Level = "error"
    event: Literal["job_failed"] = "job_failed"
    worker_id: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    run_seconds: float | UnsetType = UNSET
    error: str
    traceback: str | UnsetType = UNSET


class EarlyEndEvent(JobEvent, frozen=True, kw_only=True):
    """A job was ended before its handler could end it.

    A job that was running has the three fields of its attempt, and `error` and `traceback` if its
    clean-up failed. A job that was ready has `wait_seconds`.
    """

    reason: str
    worker_id: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    run_seconds: float | UnsetType = UNSET
    wait_seconds: float | UnsetType = UNSET
    error: str | UnsetType = UNSET
    traceback: str | UnsetType = UNSET


class JobCancelled(EarlyEndEvent, frozen=True, kw_only=True):
    """The job was cancelled on request of who is named in `by`, if they have a name."""

    event: Literal["job_cancelled"] = "job_cancelled"
    by: str | UnsetType = UNSET


class JobAbandoned(EarlyEndEvent, frozen=True, kw_only=True):
    """The service ended, and left the job behind."""

    level: Level = "error"
    event: Literal["job_abandoned"] = "job_abandoned"


class JobRescued(JobEvent, frozen=True, kw_only=True):
    """The job is pending again, because the process that had it in hand is gone.

    That process had begun attempt number `attempt`. The reason is `restart` if it ended without
    giving the job back, and `lease_over` if another process was silent for too long.
    """

    level: Level = "warning"
    event: Literal["job_rescued"] = "job_rescued"
    attempt: int
    reason: RescueReason
    worker_id: str | UnsetType = UNSET
    node: str | UnsetType = UNSET


class JobReleased(AttemptEvent, frozen=True, kw_only=True):
    """The attempt was interrupted, and the store has the job again. This costs no retry.

    It has `error` and `traceback` if its clean-up failed.
    """

    event: Literal["job_released"] = "job_released"
    run_seconds: float
    reason: str
    error: str | UnsetType = UNSET
    traceback: str | UnsetType = UNSET


class JobLost(AttemptEvent, frozen=True, kw_only=True):
    """The lease of this process was over, so the store refused what this attempt did."""

    level: Level = "error"
    event: Literal["job_lost"] = "job_lost"


class JobMisfit(JobEvent, frozen=True, kw_only=True):
    """The job waits until a program can run it again: `error` says what this one can't."""

    level: Level = "warning"
    event: Literal["job_misfit"] = "job_misfit"
    error: str


class HookFailed(JobEvent, frozen=True, kw_only=True):
    """A hook for failed jobs raised, took too long, or could not be called. The job is as it was.

    Hooks around attempts have no event of their own: what they raise fails the attempt.
    """

    level: Level = "error"
    event: Literal["hook_failed"] = "hook_failed"
    hook: str
    error: str
    traceback: str | UnsetType = UNSET


class ThreadAbandoned(AttemptEvent, frozen=True, kw_only=True):
    """The attempt was interrupted, but its thread can't be. It runs on, and its result is lost."""

    level: Level = "warning"
    event: Literal["thread_abandoned"] = "thread_abandoned"


class ThreadReturned(AttemptEvent, frozen=True, kw_only=True):
    """A thread that was abandoned has ended; with `error` if it raised one."""

    event: Literal["thread_returned"] = "thread_returned"
    abandoned_seconds: float
    error: str | UnsetType = UNSET


class JobRejected(Event, frozen=True, kw_only=True):
    """Submissions were rejected. Counted, not logged, because rejections come in floods."""

    logged: ClassVar[bool] = False

    event: Literal["job_rejected"] = "job_rejected"
    job_type: str
    reason: RejectReason
    jobs: int = 1


class GroupEvent(Event, frozen=True, kw_only=True):
    """Something that happened to a group of so many `jobs`."""

    group_id: str
    jobs: int


class GroupCreated(GroupEvent, frozen=True, kw_only=True):
    """A group was accepted, with all of its jobs.

    If it runs jobs of another group again, `retry_of` is that one. `by` is the name of who
    submitted it, or runs those again.
    """

    event: Literal["group_created"] = "group_created"
    retry_of: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class GroupEndEvent(GroupEvent, frozen=True, kw_only=True):
    """The last job of a group has ended, `group_seconds` after the group was accepted."""

    group_seconds: float
    callback_id: str | UnsetType = UNSET


class GroupCompleted(GroupEndEvent, frozen=True, kw_only=True):
    """All jobs of the group have completed. `callback_id` is the job that follows, if any."""

    event: Literal["group_completed"] = "group_completed"


class GroupFailed(GroupEndEvent, frozen=True, kw_only=True):
    """All jobs of the group have ended, and at least one of them has failed.

    `callback_id` is the job that follows, if any.
    """

    level: Level = "error"
    event: Literal["group_failed"] = "group_failed"
    jobs_failed: int
    jobs_cancelled: int


class GroupCancelled(GroupEndEvent, frozen=True, kw_only=True):
    """All jobs of the group have ended. None of them has failed, and some were cancelled.

    `callback_id` is the job that follows, if any.
    """

    event: Literal["group_cancelled"] = "group_cancelled"
    jobs_cancelled: int


class ScheduleSkipped(Event, frozen=True, kw_only=True):
    """A tick of a schedule made no job. If ticks were missed, `ticks` has their number.

    If the reason is `overlap`, the schedule's last job has not ended. That is an info.
    """

    level: Level = "warning"
    event: Literal["schedule_skipped"] = "schedule_skipped"
    schedule: str
    job_type: str
    reason: SkipReason
    ticks: int | UnsetType = UNSET


class SchedulePaused(Event, frozen=True, kw_only=True):
    """From now on the schedule makes no jobs. `by` is the name of who asked for it."""

    event: Literal["schedule_paused"] = "schedule_paused"
    schedule: str
    by: str | UnsetType = UNSET


class ScheduleResumed(Event, frozen=True, kw_only=True):
    """The schedule makes jobs again, at its next tick. `by` is the name of who asked for it."""

    event: Literal["schedule_resumed"] = "schedule_resumed"
    schedule: str
    by: str | UnsetType = UNSET


class QueueFull(Event, frozen=True, kw_only=True):
    """The queue is full: submissions are rejected. It is full by size if `queue_bytes` is there."""

    level: Level = "warning"
    event: Literal["queue_full"] = "queue_full"
    queue_capacity: int
    queue_bytes: int | UnsetType = UNSET


class QueueFreed(Event, frozen=True, kw_only=True):
    """At least a quarter of the queue is free again, after `full_seconds`."""

    event: Literal["queue_freed"] = "queue_freed"
    jobs_rejected: int
    full_seconds: float


class QueuePaused(Event, frozen=True, kw_only=True):
    """From now on no job starts, or none of this type. `by` is the name of who asked for it."""

    event: Literal["queue_paused"] = "queue_paused"
    job_type: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class QueueResumed(Event, frozen=True, kw_only=True):
    """Jobs start again, or those of this type. `by` is the name of who asked for it."""

    event: Literal["queue_resumed"] = "queue_resumed"
    job_type: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class StoreOpening(Event, frozen=True, kw_only=True):
    """The store is still being read: so far `jobs_read` of its jobs. Said once a second."""

    event: Literal["store_opening"] = "store_opening"
    store: str
    jobs_read: int


class RowsUnreadable(Event, frozen=True, kw_only=True):
    """So many rows of the store's `table`, which has no jobs, can't be read; the first because of
    `error`. What they tell is not known, and nothing else is held up.
    """

    level: Level = "error"
    event: Literal["rows_unreadable"] = "rows_unreadable"
    store: str
    table: str
    rows: int
    error: str


class StoreOpened(Event, frozen=True, kw_only=True):
    """The jobs of the store are here. `jobs_rescued` of the pending ones were in hand before.

    If other processes may share the store, this one is `node` among them, and has no jobs yet.
    """

    event: Literal["store_opened"] = "store_opened"
    store: str
    node: str | UnsetType = UNSET
    jobs_pending: int
    jobs_rescued: int
    jobs_finished: int
    open_seconds: float


class StoreBackedUp(Event, frozen=True, kw_only=True):
    """All jobs were copied to the file at `path`. `by` is the name of who asked for it."""

    event: Literal["store_backed_up"] = "store_backed_up"
    path: str
    bytes: int
    by: str | UnsetType = UNSET


class StoreCommitted(Event, frozen=True, kw_only=True):
    """The store has kept what it was told since its last commit. Only counted."""

    logged: ClassVar[bool] = False
    streamed: ClassVar[bool] = False

    event: Literal["store_committed"] = "store_committed"
    commit_seconds: float


class JobsRecovered(Event, frozen=True, kw_only=True):
    """So many of the jobs that came in from the store are ready for a worker. Only counted."""

    logged: ClassVar[bool] = False
    streamed: ClassVar[bool] = False

    event: Literal["jobs_recovered"] = "jobs_recovered"
    jobs: int


class JobsClaimed(Event, frozen=True, kw_only=True):
    """This process took so many pending jobs from a store that it shares. Only counted."""

    logged: ClassVar[bool] = False
    streamed: ClassVar[bool] = False

    event: Literal["jobs_claimed"] = "jobs_claimed"
    jobs: int


class JobsReleased(Event, frozen=True, kw_only=True):
    """This process left so many pending jobs to a store that it shares, of which some were `ready`.

    Only counted.
    """

    logged: ClassVar[bool] = False
    streamed: ClassVar[bool] = False

    event: Literal["jobs_released"] = "jobs_released"
    jobs: int
    ready: int = 0


class StoreFailed(Event, frozen=True, kw_only=True):
    """The store could not be written to or read. Counted; `store_failing` tells it once."""

    logged: ClassVar[bool] = False
    streamed: ClassVar[bool] = False

    event: Literal["store_failed"] = "store_failed"
    error: str


class StoreFailing(Event, frozen=True, kw_only=True):
    """The store can keep nothing now. Submissions are rejected, and no job starts."""

    level: Level = "error"
    event: Literal["store_failing"] = "store_failing"
    error: str


class StoreRecovered(Event, frozen=True, kw_only=True):
    """The store keeps jobs again, after `failing_seconds`. Nothing was lost."""

    event: Literal["store_recovered"] = "store_recovered"
    failing_seconds: float


class LoopStalled(Event, frozen=True, kw_only=True):
    """The event loop stands still at `where` (file:line in function), or the asyncio `loop` does.

    The log has a line while the stall lasts, and another with the whole time when it is `over`.
    Metrics and the stream of events have only the second. A job that caused it is named.
    """

    level: Level = "warning"
    event: Literal["loop_stalled"] = "loop_stalled"
    stalled_seconds: float
    where: str
    loop: Literal["asyncio"] | UnsetType = UNSET
    over: bool | UnsetType = UNSET
    job_id: str | UnsetType = UNSET
    job_type: str | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET


class ConnectionFailed(Event, frozen=True, kw_only=True):
    """A connection ended with an error. Nothing else is affected."""

    level: Level = "warning"
    event: Literal["connection_failed"] = "connection_failed"
    client: str
    error: str


class ConnectionRefused(Event, frozen=True, kw_only=True):
    """A connection was refused, as too many were open. Counted, not logged: they come in floods."""

    logged: ClassVar[bool] = False

    event: Literal["connection_refused"] = "connection_refused"


class CertificateReloaded(Event, frozen=True, kw_only=True):
    """New TLS handshakes use the certificate that is in the file now."""

    event: Literal["certificate_reloaded"] = "certificate_reloaded"
    certfile: str


class CertificateReloadFailed(Event, frozen=True, kw_only=True):
    """The certificate or its key has changed and can't be used. The old ones still are."""

    level: Level = "warning"
    event: Literal["certificate_reload_failed"] = "certificate_reload_failed"
    error: str


class TokensReloaded(Event, frozen=True, kw_only=True):
    """The file of tokens has changed. With those of `--token`, there are so many `tokens` now."""

    event: Literal["tokens_reloaded"] = "tokens_reloaded"
    token_file: str
    tokens: int


class TokenReloadFailed(Event, frozen=True, kw_only=True):
    """The file of tokens has changed and can't be used. The old tokens still count."""

    level: Level = "warning"
    event: Literal["token_reload_failed"] = "token_reload_failed"
    error: str


class RequestFailed(Event, frozen=True, kw_only=True):
    """The service has a bug: the client got a 500."""

    level: Level = "error"
    event: Literal["request_failed"] = "request_failed"
    method: str
    path: str
    error: str
    traceback: str


class LogLinesDropped(Event, frozen=True, kw_only=True):
    """Lines of the log are missing right here: its reader was too slow, or writing failed."""

    level: Level = "error"
    event: Literal["log_lines_dropped"] = "log_lines_dropped"
    lines: int


class LogReopenFailed(Event, frozen=True, kw_only=True):
    """The log file could not be opened again after a SIGHUP. The old one is still written to."""

    level: Level = "error"
    event: Literal["log_reopen_failed"] = "log_reopen_failed"
    path: str
    error: str


class ObserverDetached(Event, frozen=True, kw_only=True):
    """The service has a bug: an observer of its events raised, and hears no more of them."""

    level: Level = "error"
    event: Literal["observer_detached"] = "observer_detached"
    observer: str
    error: str
    traceback: str


_KINDS: Final[dict[str, type[Event]]] = {
    name: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Event)
    if isinstance(name := fields(kind)[2].default, str)  # else it is a base of others
}

# Every event that anybody hears of, by its name; and the kinds of all others.
EVENTS: Final = {name: kind for name, kind in _KINDS.items() if kind.streamed}
ONLY_COUNTED: Final = frozenset(kind for kind in _KINDS.values() if not kind.streamed)
