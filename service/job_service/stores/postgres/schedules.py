"""What the database keeps of schedules, for all processes, and how one of them changes that."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from msgspec import structs

from job_service.jobs.state.schedule_state import ScheduleChange, ScheduleState
from job_service.stores.postgres.transaction import Transaction

if TYPE_CHECKING:
    from job_service.telemetry.events import Event

_ENTER: Final = """
    INSERT INTO job_service.schedules (schedule) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING
"""
# Newer programs may have added columns.
STATES: Final = f"SELECT {', '.join(ScheduleState.__struct_fields__)} FROM job_service.schedules"
_LOCK: Final = f"{STATES} WHERE schedule = ANY(%s) ORDER BY schedule FOR UPDATE"
_WRITE: Final = """
    UPDATE job_service.schedules SET
        ticked_at = %s, last_run_at = %s, last_job_id = %s,
        paused_since = %s, paused_by = %s, resumed_at = %s
    WHERE schedule = %s
"""


class ChangeSchedule:
    """A change of one schedule; `state` is what is kept of it then."""

    def __init__(self, schedule: str, change: ScheduleChange) -> None:
        self._change = change
        self.state = ScheduleState(schedule)
        self.told: list[Event] = []

    async def do(self, tx: Transaction) -> None:
        """Change it, if there is anything to, while nobody else does."""
        self.told = []
        name = self.state.schedule
        self.state = (await locked_states(tx, [name]))[name]
        changed = self._change(self.state, tx.now)
        if changed is not None:
            self.state, event = changed
            self.told = [event]
            await keep_states(tx, [self.state])


async def locked_states(tx: Transaction, schedules: Collection[str]) -> dict[str, ScheduleState]:
    """What is kept of each of these, which nobody else changes until the commit."""
    if not schedules:
        return {}
    names = sorted(set(schedules))
    await tx.rows(_ENTER, names)
    return {row[0]: ScheduleState(*row) for row in await tx.rows(_LOCK, names)}


async def keep_states(tx: Transaction, states: Iterable[ScheduleState]) -> None:
    """Write these, which are locked."""
    for state in states:
        name, *facts = structs.astuple(state)
        await tx.rows(_WRITE, *facts, name)
