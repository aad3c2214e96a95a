"""Methods for schedules."""

from collections.abc import Sequence

from job_service.client.blocking.driver import Driver
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.views import ScheduleView


class ScheduleMethods(Driver):
    """See what runs by itself, run it now, pause and resume it."""

    def schedules(self) -> Sequence[ScheduleView]:
        """When each schedule submits its next jobs, what it has done, and whether it is paused."""
        return self._run(self._calls.schedules())

    def run_schedule_now(self, schedule: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Make the job of a schedule at this moment; its next tick stays when it is.

        Raises UnknownSchedule, QueueFull, QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.run_schedule_now(schedule, idempotency_key))

    def pause_schedule(self, schedule: str) -> ScheduleView:
        """Let its ticks make no jobs, until `resume_schedule`. Raises UnknownSchedule."""
        return self._run(self._calls.pause_schedule(schedule))

    def resume_schedule(self, schedule: str) -> ScheduleView:
        """Let its ticks make jobs again, from the next one on. Raises UnknownSchedule."""
        return self._run(self._calls.resume_schedule(schedule))
