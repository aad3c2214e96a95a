"""What one call of a durable store has done: it is kept as a whole or not at all, and then told."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Job
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.contract import KeyedRequest

if TYPE_CHECKING:
    import trio

    from job_service.jobs.state.group import Standing
    from job_service.telemetry.events import Event

Call = tuple[Callable[..., object], Job, *tuple[float | None, ...]]  # of the runner


class Pause(NamedTuple):
    """Jobs of a type, or all if it is None, are to start or not."""

    job_type: str | None
    paused: bool


class Remembered(NamedTuple):
    """A request with an idempotency key, the jobs that it made, and until when it counts."""

    request: KeyedRequest
    jobs: Sequence[JobSummary]
    until: datetime


class ScheduleRun(NamedTuple):
    """A schedule has made a job: what is kept of it before and after that."""

    before: ScheduleState
    after: ScheduleState


class UnitOfWork:
    """All that one call has done, which is kept as a whole or not at all.

    `jobs` are those that it changed, `created` those of them that it made, `edited` those to which
    a client gave another payload or priority, and `ended` those that it gave their end. `groups`
    are those that it changed, as they were after it. `beside` is what else is to be kept. `told` is
    what tells of it. A submission is one for which somebody waits, and may make no job. If it is
    open, it is the last one in line, and may take in more.
    """

    __slots__ = (
        *("awaited", "beside", "created", "edited", "ended", "groups", "is_open", "is_submission"),
        *("jobs", "told"),
    )

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.created: list[Job] = []
        self.edited: list[Job] = []
        self.ended: list[Job] = []
        self.groups: dict[str, Standing] = {}
        self.beside: list[object] = []
        self.told: list[Event | Call] = []
        self.awaited: trio.Event | None = None  # made by the first who waits until it is told
        self.is_submission = False
        self.is_open = False

    @property
    def needs_keeping(self) -> bool:
        """Whether there is anything in it but what tells of it."""
        return bool(self.jobs or self.beside)
