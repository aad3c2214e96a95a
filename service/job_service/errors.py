"""Every exception that a program may have to catch, from submissions to the start of a service."""

TYPE_CHECKING = False  # as `typing` has it, which takes long to import
if TYPE_CHECKING:
    from job_service.jobs.state.detail import JobSummary


class JobServiceError(Exception):
    """What all exceptions here derive from."""

    def __init_subclass__(cls) -> None:
        cls.__module__ = "job_service"  # as programs know it, also in their tracebacks


class UnknownJobType(JobServiceError):
    """No handler is registered under this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        super().__init__(f"there is no job type {shown!r}; known are {', '.join(known) or 'none'}")


class InvalidPayload(JobServiceError):
    """The payload is not what the job type's handler takes."""


class InvalidOption(JobServiceError, ValueError):
    """An option of a submission has a value that it can't have."""


class UnknownPredecessor(JobServiceError):
    """A job that another is to come after does not exist, or has been forgotten."""


class QueueFull(JobServiceError):
    """As much waits as may, in jobs or in bytes; try again a little later."""


class BatchTooLarge(QueueFull):
    """More than the queue has places or bytes for: it would not fit later either."""


class QueueClosed(JobServiceError):
    """The service is draining and takes no more jobs."""


class InvalidIdempotencyKey(JobServiceError, ValueError):
    """The key is not 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(JobServiceError):
    """The key was used before, and for something else."""


class UnknownJob(JobServiceError):
    """There is no job of this id, or it finished so long ago that it has been forgotten."""


class AlreadyFinished(JobServiceError):
    """The job has ended, as `job.status` tells, and what has ended stays as it is."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} is already {job.status}")
        self.job = job


class NotFinished(JobServiceError):
    """The job has not ended yet, as `job.status` tells; only one that has can be run again."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} is still {job.status}")
        self.job = job


class SettingsError(JobServiceError, ValueError):
    """A setting has a value that it can't have; `setting` is its name."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class CannotListen(JobServiceError):
    """The address can't be had, or the certificate or its key can't be used."""


class ResourceFailed(JobServiceError):
    """A resource could not be opened; the error is the one that this is raised from."""
