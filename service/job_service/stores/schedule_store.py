"""What every store does with schedules: it keeps when they ran, and that they are paused."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Draft
from job_service.jobs.state.schedule_state import (
    ScheduleChange,
    ScheduleState,
    pausing,
    resuming,
)
from job_service.stores.live_store import LiveStore


class ScheduleStore(LiveStore):
    """The base of stores. Meaning and errors of its methods are those of `contract.Store`."""

    @abstractmethod
    async def _change_schedule(self, schedule: str, change: ScheduleChange) -> None:
        """Change what is kept of a schedule, and tell the event of it, if there is anything to."""

    def schedules(self) -> Mapping[str, ScheduleState]:
        return self._schedules

    async def pause_schedule(self, schedule: str, by: str | None = None) -> None:
        await self._change_schedule(schedule, pausing(by))

    async def resume_schedule(self, schedule: str, by: str | None = None) -> None:
        await self._change_schedule(schedule, resuming(by))

    def _run_schedule(
        self,
        schedule: str,
        draft: Draft,
        accept: Callable[[], Sequence[JobSummary]],
        *,
        ticks: bool,
    ) -> Sequence[JobSummary]:
        """The jobs that `accept` makes; none if it `ticks` and that is passed over.

        If it does not tick, somebody has asked for its job.
        """
        state = self._state_of(schedule)
        if ticks and state.passes_over(draft.scheduled_for, self.clock.now()):
            return ()
        jobs = accept()
        self._note_schedule(state.with_job(jobs[0], ticked=ticks))
        return jobs

    def _state_of(self, schedule: str) -> ScheduleState:
        return self._schedules.get(schedule) or ScheduleState(schedule)

    def _note_schedule(self, state: ScheduleState) -> None:
        self._schedules = {**self._schedules, state.schedule: state}
