"""A job service you can see through. The names in `__all__` are public, and nothing else is."""

from importlib import import_module

from job_service.errors import (
    AlreadyFinished,
    BackupRefused,
    BatchTooLarge,
    CannotListen,
    GroupConflict,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    JobChanged,
    JobServiceError,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    ResourceFailed,
    SettingsError,
    StoreRefused,
    StoreUnavailable,
    TryAgainLater,
    Unauthorized,
    UnexpectedAnswer,
    UnknownGroup,
    UnknownJob,
    UnknownJobType,
    UnknownPredecessor,
    UnknownSchedule,
    Unreachable,
    UnreadableJob,
    WaitsForJobs,
)

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than this
if TYPE_CHECKING:
    from job_service.hosting import host
    from job_service.jobs.queueing.filters import JobFilters
    from job_service.jobs.queueing.group_queue import GroupQueue
    from job_service.jobs.queueing.options import JobOptions
    from job_service.jobs.queueing.queue import JobQueue
    from job_service.jobs.queueing.schedules import Schedules
    from job_service.jobs.registration.context import JobContext
    from job_service.jobs.registration.outcome import Discard, Snooze
    from job_service.jobs.registration.rate import Rate
    from job_service.jobs.registration.registry import Registry, TypeOptions
    from job_service.jobs.registration.retry import Retry
    from job_service.jobs.state.detail import AttemptDetail, JobDetail, JobSummary
    from job_service.jobs.state.group import GroupView
    from job_service.jobs.state.job_filter import JobPage
    from job_service.jobs.state.job_log import AttemptLog, LogLine
    from job_service.jobs.state.model import Draft, Status
    from job_service.jobs.state.progress import Progress
    from job_service.jobs.state.views import (
        Cancellations,
        MadeReady,
        NodeView,
        QueueView,
        Retries,
        ScheduleView,
        TypeQueue,
        TypeView,
        WorkerView,
    )
    from job_service.process.garbage import collect_garbage_on_schedule
    from job_service.running_service import RunningService
    from job_service.settings import Settings
    from job_service.telemetry.metrics import MetricsSnapshot

__all__ = [
    "AlreadyFinished",
    "AttemptDetail",
    "AttemptLog",
    "BackupRefused",
    "BatchTooLarge",
    "Cancellations",
    "CannotListen",
    "Discard",
    "Draft",
    "GroupConflict",
    "GroupQueue",
    "GroupView",
    "IdempotencyKeyReused",
    "InvalidIdempotencyKey",
    "InvalidOption",
    "InvalidPayload",
    "JobChanged",
    "JobContext",
    "JobDetail",
    "JobFilters",
    "JobOptions",
    "JobPage",
    "JobQueue",
    "JobServiceError",
    "JobSummary",
    "LogLine",
    "MadeReady",
    "MetricsSnapshot",
    "NodeView",
    "NotFinished",
    "NotPending",
    "Progress",
    "QueueClosed",
    "QueueFull",
    "QueueView",
    "Rate",
    "Registry",
    "ResourceFailed",
    "Retries",
    "Retry",
    "RunningService",
    "ScheduleView",
    "Schedules",
    "Settings",
    "SettingsError",
    "Snooze",
    "Status",
    "StoreRefused",
    "StoreUnavailable",
    "TryAgainLater",
    "TypeOptions",
    "TypeQueue",
    "TypeView",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnknownGroup",
    "UnknownJob",
    "UnknownJobType",
    "UnknownPredecessor",
    "UnknownSchedule",
    "Unreachable",
    "UnreadableJob",
    "WaitsForJobs",
    "WorkerView",
    "collect_garbage_on_schedule",
    "host",
]

_HOMES = {
    "collect_garbage_on_schedule": "job_service.process.garbage",
    "host": "job_service.hosting",
    "JobFilters": "job_service.jobs.queueing.filters",
    "GroupQueue": "job_service.jobs.queueing.group_queue",
    "JobOptions": "job_service.jobs.queueing.options",
    "JobPage": "job_service.jobs.state.job_filter",
    "JobQueue": "job_service.jobs.queueing.queue",
    "Schedules": "job_service.jobs.queueing.schedules",
    "JobContext": "job_service.jobs.registration.context",
    "Discard": "job_service.jobs.registration.outcome",
    "Snooze": "job_service.jobs.registration.outcome",
    "Rate": "job_service.jobs.registration.rate",
    "Registry": "job_service.jobs.registration.registry",
    "TypeOptions": "job_service.jobs.registration.registry",
    "Retry": "job_service.jobs.registration.retry",
    "AttemptDetail": "job_service.jobs.state.detail",
    "Cancellations": "job_service.jobs.state.views",
    "JobDetail": "job_service.jobs.state.detail",
    "JobSummary": "job_service.jobs.state.detail",
    "MadeReady": "job_service.jobs.state.views",
    "NodeView": "job_service.jobs.state.views",
    "QueueView": "job_service.jobs.state.views",
    "Retries": "job_service.jobs.state.views",
    "ScheduleView": "job_service.jobs.state.views",
    "TypeQueue": "job_service.jobs.state.views",
    "TypeView": "job_service.jobs.state.views",
    "WorkerView": "job_service.jobs.state.views",
    "AttemptLog": "job_service.jobs.state.job_log",
    "LogLine": "job_service.jobs.state.job_log",
    "GroupView": "job_service.jobs.state.group",
    "Draft": "job_service.jobs.state.model",
    "Status": "job_service.jobs.state.model",
    "Progress": "job_service.jobs.state.progress",
    "Settings": "job_service.settings",
    "RunningService": "job_service.running_service",
    "MetricsSnapshot": "job_service.telemetry.metrics",
}


if not TYPE_CHECKING:  # else type checkers would take any name for a public one

    def __getattr__(name: str) -> object:
        # A name is imported when somebody asks for it. The command must be ready for signals before
        # it imports anything that takes long, and processes for handlers need no HTTP server.
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
