"""What a caller may see of a job whose type is sensitive."""

from typing import TypeVar

import msgspec
from msgspec import structs

from job_service.access.tokens import Token
from job_service.errors import UnknownJobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail, JobSummary

_NULL = msgspec.Raw(b"null")

Told = TypeVar("Told", bound=JobSummary)


def visible(job: Told, caller: Token, registry: Registry) -> Told:
    """The job as this caller may see it: with or without its payload and its result."""
    is_detail = isinstance(job, JobDetail)
    if caller.role == "operate" or not (is_detail or job.payload_excerpt is not None):
        return job
    if not _is_sensitive(job.type, registry):
        return job
    if is_detail:
        return structs.replace(job, payload=_NULL, result=None, hidden=True)
    return structs.replace(job, payload_excerpt=None)


def _is_sensitive(job_type: str, registry: Registry) -> bool:
    """Whether it is, or nobody can say so: a store may have jobs of another program."""
    try:
        return registry.lookup(job_type).sensitive
    except UnknownJobType:
        return True
