"""Methods for schedules."""

from collections.abc import Sequence

from job_service.client.awaiting.driver import Driver
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.views import ScheduleView


class ScheduleMethods(Driver):
    """See what runs by itself, run it now, pause and resume it."""

    async def schedules(self) -> Sequence[ScheduleView]:
        """As JobClient.schedules."""
        return await self._run(self._calls.schedules())

    async def run_schedule_now(
        self, schedule: str, *, idempotency_key: str | None = None
    ) -> JobSummary:
        """As JobClient.run_schedule_now."""
        return await self._run(self._calls.run_schedule_now(schedule, idempotency_key))

    async def pause_schedule(self, schedule: str) -> ScheduleView:
        """As JobClient.pause_schedule."""
        return await self._run(self._calls.pause_schedule(schedule))

    async def resume_schedule(self, schedule: str) -> ScheduleView:
        """As JobClient.resume_schedule."""
        return await self._run(self._calls.resume_schedule(schedule))
