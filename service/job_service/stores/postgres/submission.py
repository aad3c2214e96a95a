"""What one caller submits to a store that is shared, and what comes of it in the transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from job_service.jobs.state.group import Group
from job_service.jobs.state.model import Draft, Job
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.contract import KeyedRequest

if TYPE_CHECKING:
    from job_service.jobs.state.detail import JobSummary
    from job_service.telemetry.events import Event


class Submission:
    """What one caller submits, and the jobs that it gets, or why it does not."""

    def __init__(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> None:
        self.drafts = drafts
        self.request = request
        self.schedule = schedule
        self.not_since = not_since
        self.group = group
        self.jobs: Sequence[JobSummary] = ()
        self.refusal: Exception | None = None
        self.told: list[Event] = []
        self.taken: list[Job] = []  # by this process
        self.state: ScheduleState | None = None  # of its schedule, after it

    def is_passed_over(self, states: Mapping[str, ScheduleState], now: datetime) -> bool:
        """Whether it is a tick that makes no job: another process has had it, or it is paused."""
        if self.schedule is None or self.not_since is None:
            return False
        state = self.state = states[self.schedule]
        had = state.ticked_at is not None and state.ticked_at >= self.not_since
        return had or state.passes_over(self.drafts[0].scheduled_for, now)

    def note_job(self, states: dict[str, ScheduleState]) -> None:
        """Its first job is the last one of its schedule, if it has one."""
        if self.schedule is not None:
            ticked = self.not_since is not None
            self.state = states[self.schedule].with_job(self.jobs[0], ticked=ticked)
            states[self.schedule] = self.state
