"""Every exception that a program may have to catch, from its submissions to the service's start."""

import copyreg

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than this
if TYPE_CHECKING:
    from job_service.jobs.state.detail import JobSummary


class JobServiceError(Exception):
    """The base class of all exceptions below."""

    __module__ = "job_service"  # as programs import it, for tracebacks too

    def __init_subclass__(cls) -> None:
        if cls.__module__ == __name__:
            cls.__module__ = "job_service"

    def __reduce__(self) -> tuple[object, ...]:
        # For pickle and copy. Exception would call `__init__` again, with the message alone.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class UnknownJobType(JobServiceError):
    """No handler is registered for this job type."""

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        super().__init__(f"there is no job type {shown!r}; known are {', '.join(known) or 'none'}")


class UnknownSchedule(JobServiceError):
    """No schedule has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        super().__init__(f"there is no schedule {shown!r}; known are {', '.join(known) or 'none'}")


class InvalidPayload(JobServiceError):
    """JSON can't carry the payload, or the handler of the job type does not take it."""


class InvalidOption(JobServiceError, ValueError):
    """An option of a call has a value that it can't have."""


class UnknownPredecessor(JobServiceError):
    """A job that is named in `after` does not exist, or is no longer kept."""


class TryAgainLater(JobServiceError):
    """The service can't do this now. Nothing is wrong with what it was asked for.

    It is the base class of QueueFull, QueueClosed, StoreUnavailable and Unreachable.
    """


class QueueFull(TryAgainLater):
    """As many jobs or bytes wait as are allowed: try again a little later."""


class BatchTooLarge(QueueFull):
    """The batch needs more places or bytes than the whole queue has, so it will never fit.

    It is a QueueFull, but the one that is not worth another try.
    """


class QueueClosed(TryAgainLater):
    """The service is draining and takes no more jobs."""


class StoreUnavailable(TryAgainLater):
    """The store can't keep anything now. It may again in `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class InvalidIdempotencyKey(JobServiceError, ValueError):
    """The key is not 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(JobServiceError):
    """The key was used before, for something else."""


class UnknownJob(JobServiceError):
    """There is no job with this id, or it has ended and is no longer kept."""


class AlreadyFinished(JobServiceError):
    """The job has ended, so it can't be cancelled; `job` is how it is now."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} is already {job.status}")
        self.job = job


class NotFinished(JobServiceError):
    """The job has not ended, so it can't be run again; `job` is how it is now."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} is still {job.status}")
        self.job = job


class UnknownGroup(JobServiceError):
    """There is no group with this id, or it has ended and is no longer kept."""


class GroupConflict(JobServiceError):
    """The group has ended, so it can't be cancelled; or what has not failed can't be retried."""


class NotPending(JobServiceError):
    """The job waits no more, so nothing of it can be changed; `job` is how it is now."""

    def __init__(self, job: "JobSummary") -> None:
        is_now = "about to start" if job.status == "pending" else f"already {job.status}"
        super().__init__(f"job {job.id} is {is_now}")
        self.job = job


class JobChanged(JobServiceError):
    """The job has none of the expected versions any more; `job` is how it is now."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} has changed since")
        self.job = job


class WaitsForJobs(JobServiceError):
    """The job can't run now, because it waits for other jobs; `job` is how it is now."""

    def __init__(self, job: "JobSummary") -> None:
        super().__init__(f"job {job.id} waits for other jobs")
        self.job = job


class UnreadableJob(JobServiceError):
    """The record of the job can't be read, so it can be cancelled, and nothing else."""


class SettingsError(JobServiceError, ValueError):
    """A setting has a value that it can't have; `setting` is its name."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class CannotListen(JobServiceError):
    """The service can't use its address, its certificate or its key."""


class ResourceFailed(JobServiceError):
    """A resource could not be opened; `__cause__` is the error that it raised."""


class BackupRefused(JobServiceError):
    """The jobs can't be copied to this file; the message says why."""


class StoreRefused(JobServiceError):
    """The place where jobs are to be kept can't be used; the message says what to do."""


class Unreachable(TryAgainLater):
    """No service answered a client, although it asked for as long as it has patience."""


class Unauthorized(JobServiceError):
    """The client sent no token, a wrong one, or one whose role does not allow the call."""


class UnexpectedAnswer(JobServiceError):
    """The client was answered what no call is told to expect, perhaps by something else."""
