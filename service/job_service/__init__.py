"""A job service you can see through: what modules of job types and programs that host it need."""

from typing import TYPE_CHECKING, Any

from job_service.jobs.context import JobContext
from job_service.jobs.outcome import Discard, Snooze
from job_service.jobs.registry import Registry
from job_service.jobs.retry import Retry
from job_service.settings import Settings

if TYPE_CHECKING:
    from job_service.hosting import host

__all__ = ["Discard", "JobContext", "Registry", "Retry", "Settings", "Snooze", "host"]


def __getattr__(name: str) -> Any:
    # A process of handlers, and a module of job types, need not wait for the HTTP server.
    if name == "host":
        from job_service.hosting import host

        return host
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
