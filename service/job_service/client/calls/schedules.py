"""The calls about schedules."""

from collections.abc import Sequence
from urllib.parse import quote

from job_service.client.calls.terms import Terms
from job_service.client.encoding import new_key
from job_service.client.exchange import Conversation
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.views import ScheduleView


class ScheduleCalls(Terms):
    """See what runs by itself, run it now, pause and resume it."""

    def schedules(self) -> Conversation[Sequence[ScheduleView]]:
        """`GET /schedules`."""
        return self._read(self._get("/schedules"), list[ScheduleView])

    def run_schedule_now(self, schedule: str, key: str | None) -> Conversation[JobSummary]:
        """`POST /schedules/{schedule}/run-now`."""
        request = self._post(f"{_path(schedule)}/run-now", None, key or new_key())
        return self._read(request, JobSummary)

    def pause_schedule(self, schedule: str) -> Conversation[ScheduleView]:
        """`POST /schedules/{schedule}/pause`."""
        return self._read(self._post(f"{_path(schedule)}/pause"), ScheduleView)

    def resume_schedule(self, schedule: str) -> Conversation[ScheduleView]:
        """`POST /schedules/{schedule}/resume`."""
        return self._read(self._post(f"{_path(schedule)}/resume"), ScheduleView)


def _path(schedule: str) -> str:
    return f"/schedules/{quote(schedule, safe='', errors='replace')}"
