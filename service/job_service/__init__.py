"""A job service you can see through: what modules of job types and programs that host it need."""

from importlib import import_module

TYPE_CHECKING = False  # as `typing` has it, which takes longer to import than all of this
if TYPE_CHECKING:
    from job_service.hosting import host
    from job_service.jobs.registration.context import JobContext
    from job_service.jobs.registration.outcome import Discard, Snooze
    from job_service.jobs.registration.registry import Registry
    from job_service.jobs.registration.retry import Retry
    from job_service.settings import Settings

__all__ = ["Discard", "JobContext", "Registry", "Retry", "Settings", "Snooze", "host"]

_HOMES = {
    "Discard": "job_service.jobs.registration.outcome",
    "JobContext": "job_service.jobs.registration.context",
    "Registry": "job_service.jobs.registration.registry",
    "Retry": "job_service.jobs.registration.retry",
    "Settings": "job_service.settings",
    "Snooze": "job_service.jobs.registration.outcome",
    "host": "job_service.hosting",
}


def __getattr__(name: str) -> object:
    # Each is imported when it is asked for: the command must be ready for signals before anything
    # that takes long, and a process of handlers need not wait for the HTTP server.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
