"""What every store does with schedules: it keeps when they ran, and that they are paused."""

from abc import abstractmethod
from collections.abc import Mapping

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

    def _state_of(self, schedule: str) -> ScheduleState:
        return self._schedules.get(schedule) or ScheduleState(schedule)

    def _note_schedule(self, state: ScheduleState) -> None:
        self._schedules = {**self._schedules, state.schedule: state}
