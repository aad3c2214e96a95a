"""A job service you can see through: what a module of job types needs."""

from service.jobs.context import JobContext
from service.jobs.outcome import Discard, Snooze
from service.jobs.registry import Registry
from service.jobs.retry import Retry

__all__ = ["Discard", "JobContext", "Registry", "Retry", "Snooze"]
