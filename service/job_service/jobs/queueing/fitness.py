"""Whether this program can run a job, which another or an older one may have submitted."""

from job_service.errors import InvalidPayload, UnknownJobType
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.limits import Limits
from job_service.jobs.state.model import Job
from job_service.jobs.state.stand_in import StandIn


def limits_of(registry: Registry, job_type: str) -> Limits | None:
    """What bounds the jobs of a type; None if it is not registered."""
    try:
        return registry.lookup(job_type).limits
    except UnknownJobType:
        return None


def why_unfit(registry: Registry, job: Job) -> str | None:
    """What keeps the job from being run until another program comes that can; None if nothing."""
    if isinstance(job, StandIn):
        return job.why
    return why_payload_unfit(registry, job.type, job.payload)


def why_payload_unfit(registry: Registry, job_type: str, payload: bytes) -> str | None:
    """The same of a job of this type with this payload."""
    try:
        registry.lookup(job_type).check_payload(payload)
    except UnknownJobType:
        return f"no handler is registered for {job_type}"
    except InvalidPayload as error:
        return f"its payload does not fit {job_type} any more: {error}"
    except MemoryError:
        return "there is no memory to read its payload"
    return None
