"""What clients and operators said to an earlier process, and what still holds."""

from collections.abc import Callable
from datetime import datetime

from msgspec import UNSET

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Ending
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.durable_submissions import DurableSubmissions
from job_service.stores.runner import Runner
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import remembered, state_of, text_of
from job_service.telemetry.events import Event, QueuePaused


async def recover_keys(file: FileThread, submissions: DurableSubmissions, clock: Clock) -> None:
    """Remember the requests whose keys still count."""
    keys, ends = await file.call(JobFile.keys, text_of(clock.now()))
    endings = {
        job_id: Ending(end.status, datetime.fromisoformat(end.finished_at))
        for job_id, end in ends.items()
    }
    for each in map(remembered, keys):
        submissions.recover(each, endings)


async def recover_pauses(
    file: FileThread, runner: Runner, say: Callable[[Event], None], clock: Clock
) -> None:
    """Pause what was paused."""
    for job_type in await file.call(JobFile.pauses):
        runner.pause(job_type or None)
        say(QueuePaused(timestamp=clock.now(), job_type=job_type or UNSET))


async def kept_schedules(file: FileThread) -> list[ScheduleState]:
    """What is kept of each schedule."""
    return [state_of(kept) for kept in await file.call(JobFile.schedules)]
