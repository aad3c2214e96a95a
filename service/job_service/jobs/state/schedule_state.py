"""The state of a schedule: when it has run, and whether somebody has paused it."""

from collections.abc import Callable
from datetime import datetime

from msgspec import UNSET, Struct, structs

from job_service.jobs.state.detail import JobSummary
from job_service.telemetry.events import Event, SchedulePaused, ScheduleResumed


class ScheduleState(Struct, frozen=True):
    """What is kept of a schedule, by its name.

    `ticked_at` is when it made a job by itself last. `last_job_id` is the job that it made last, by
    itself or because somebody asked for it, and `last_run_at` when that was made. It is paused if
    `paused_since` is there, by whom `paused_by` says. Its last pause ended at `resumed_at`.
    """

    schedule: str
    ticked_at: datetime | None = None
    last_run_at: datetime | None = None
    last_job_id: str | None = None
    paused_since: datetime | None = None
    paused_by: str | None = None
    resumed_at: datetime | None = None

    @property
    def is_paused(self) -> bool:
        """Whether its ticks make no jobs."""
        return self.paused_since is not None

    def passes_over(self, tick: datetime | None, now: datetime) -> bool:
        """Whether this tick makes no job, because it falls due during a pause, or did so.

        A pause that ends later than now is one from before the clock was set back.
        """
        if self.is_paused or tick is None or self.resumed_at is None:
            return self.is_paused
        return tick <= self.resumed_at <= now

    def with_job(self, job: JobSummary, *, ticked: bool) -> "ScheduleState":
        """The same after it has made this job; that is by itself if it has `ticked`."""
        if job.replayed:  # it was made before
            return self
        return structs.replace(
            self,
            ticked_at=job.created_at if ticked else self.ticked_at,
            last_run_at=job.created_at,
            last_job_id=job.id,
        )

    def with_jobs_of(self, other: "ScheduleState") -> "ScheduleState":
        """The same, but for the jobs that it has made."""
        return structs.replace(
            self,
            ticked_at=other.ticked_at,
            last_run_at=other.last_run_at,
            last_job_id=other.last_job_id,
        )


# What becomes of a schedule at a moment, and the event of it; None if it stays as it is.
ScheduleChange = Callable[[ScheduleState, datetime], tuple[ScheduleState, Event] | None]


def pausing(by: str | None) -> ScheduleChange:
    """Pause it, if it is not paused yet, for somebody of this name."""

    def pause(state: ScheduleState, now: datetime) -> tuple[ScheduleState, Event] | None:
        if state.is_paused:
            return None
        event = SchedulePaused(timestamp=now, schedule=state.schedule, by=by or UNSET)
        return structs.replace(state, paused_since=now, paused_by=by), event

    return pause


def resuming(by: str | None) -> ScheduleChange:
    """Take back its pause, if there is one, for somebody of this name."""

    def resume(state: ScheduleState, now: datetime) -> tuple[ScheduleState, Event] | None:
        if not state.is_paused:
            return None
        event = ScheduleResumed(timestamp=now, schedule=state.schedule, by=by or UNSET)
        return structs.replace(state, paused_since=None, paused_by=None, resumed_at=now), event

    return resume
