"""A job service you can see through: what modules of job types and programs that host it need."""

from importlib import import_module

from job_service.errors import (
    AlreadyFinished,
    BatchTooLarge,
    CannotListen,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidOption,
    InvalidPayload,
    JobServiceError,
    NotFinished,
    QueueClosed,
    QueueFull,
    ResourceFailed,
    SettingsError,
    UnknownJob,
    UnknownJobType,
    UnknownPredecessor,
)

TYPE_CHECKING = False  # as `typing` has it, which takes longer to import than all of this
if TYPE_CHECKING:
    from job_service.hosting import host
    from job_service.jobs.queueing.options import JobOptions
    from job_service.jobs.queueing.queue import JobQueue
    from job_service.jobs.registration.context import JobContext
    from job_service.jobs.registration.outcome import Discard, Snooze
    from job_service.jobs.registration.registry import Registry
    from job_service.jobs.registration.retry import Retry
    from job_service.jobs.state.detail import (
        AttemptDetail,
        Cancellations,
        JobDetail,
        JobSummary,
        QueueView,
        ScheduleView,
        TypeView,
        WorkerView,
    )
    from job_service.jobs.state.model import Draft
    from job_service.jobs.state.progress import Progress
    from job_service.settings import Settings
    from job_service.supervisor import RunningService
    from job_service.telemetry.metrics import MetricsSnapshot

__all__ = [
    "AlreadyFinished",
    "AttemptDetail",
    "BatchTooLarge",
    "Cancellations",
    "CannotListen",
    "Discard",
    "Draft",
    "IdempotencyKeyReused",
    "InvalidIdempotencyKey",
    "InvalidOption",
    "InvalidPayload",
    "JobContext",
    "JobDetail",
    "JobOptions",
    "JobQueue",
    "JobServiceError",
    "JobSummary",
    "MetricsSnapshot",
    "NotFinished",
    "Progress",
    "QueueClosed",
    "QueueFull",
    "QueueView",
    "Registry",
    "ResourceFailed",
    "Retry",
    "RunningService",
    "ScheduleView",
    "Settings",
    "SettingsError",
    "Snooze",
    "TypeView",
    "UnknownJob",
    "UnknownJobType",
    "UnknownPredecessor",
    "WorkerView",
    "host",
]

_HOMES = {
    "host": "job_service.hosting",
    "JobOptions": "job_service.jobs.queueing.options",
    "JobQueue": "job_service.jobs.queueing.queue",
    "JobContext": "job_service.jobs.registration.context",
    "Discard": "job_service.jobs.registration.outcome",
    "Snooze": "job_service.jobs.registration.outcome",
    "Registry": "job_service.jobs.registration.registry",
    "Retry": "job_service.jobs.registration.retry",
    "AttemptDetail": "job_service.jobs.state.detail",
    "Cancellations": "job_service.jobs.state.detail",
    "JobDetail": "job_service.jobs.state.detail",
    "JobSummary": "job_service.jobs.state.detail",
    "QueueView": "job_service.jobs.state.detail",
    "ScheduleView": "job_service.jobs.state.detail",
    "TypeView": "job_service.jobs.state.detail",
    "WorkerView": "job_service.jobs.state.detail",
    "Draft": "job_service.jobs.state.model",
    "Progress": "job_service.jobs.state.progress",
    "Settings": "job_service.settings",
    "RunningService": "job_service.supervisor",
    "MetricsSnapshot": "job_service.telemetry.metrics",
}


def __getattr__(name: str) -> object:
    # Each is imported when it is asked for: the command must be ready for signals before anything
    # that takes long, and a process of handlers need not wait for the HTTP server.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
