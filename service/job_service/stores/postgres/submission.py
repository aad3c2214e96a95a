"""What one caller submits to a store that is shared, and what comes of it in the transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from job_service.jobs.state.group import Group
from job_service.jobs.state.model import Draft, Job
from job_service.stores.contract import KeyedRequest, Tick

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
        self.tick: Tick | None = None
        self.is_tick_new = False

    def had_by_another(self, ticks: Mapping[str, Tick]) -> Tick | None:
        """The tick of its schedule that another process has had in place of this one, if any."""
        tick = ticks.get(self.schedule or "")
        if tick is None or self.not_since is None or tick.at < self.not_since:
            return None
        return tick
