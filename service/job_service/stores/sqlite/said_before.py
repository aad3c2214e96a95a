"""What clients and operators said to an earlier process, and what still holds.

Of a row that can't be read, what is known holds, and else what does least harm. No request is made
again, and no schedule runs a tick twice, because somebody has damaged a row.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import UNSET

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import TERMINAL, Ending
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.contract import KeyedRequest
from job_service.stores.durable_submissions import DurableSubmissions
from job_service.stores.idempotency import REMEMBERED_SECONDS
from job_service.stores.runner import Runner
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import answer_of, text_of
from job_service.stores.sqlite.rows import KeyedEnd, Schedule
from job_service.stores.unreadable import known_status, time_of
from job_service.telemetry.events import Event, QueuePaused, RowsUnreadable

_NO_DIGEST: Final = b""  # of no request: any with this key is refused, as if it was another one


def tell_unreadable(
    say: Callable[[Event], None], clock: Clock, store: str
) -> Callable[[str, Sequence[ValueError]], None]:
    """A function that takes the name of a table, and why rows of it can't be read, and says so."""

    def tell(table: str, errors: Sequence[ValueError]) -> None:
        if errors:
            say(
                RowsUnreadable(
                    timestamp=clock.now(),
                    store=store,
                    table=table,
                    rows=len(errors),
                    error=str(errors[0]),
                )
            )

    return tell


async def recover_keys(
    file: FileThread,
    submissions: DurableSubmissions,
    clock: Clock,
    tell: Callable[[str, Sequence[ValueError]], None],
) -> None:
    """Remember the requests whose keys still count."""
    now = clock.now()
    keys, ends = await file.call(JobFile.keys, text_of(now))
    errors = list[ValueError]()
    endings = dict[str, Ending]()
    for end in ends.values():
        try:
            endings[end.job_id] = ending_of(end)
        except ValueError as error:  # its job is shown as it was first, once it is kept no more
            errors.append(error)
    tell("keyed_ends", errors)
    errors = []
    for key in keys:
        request, seconds = KeyedRequest(key.key, key.asked), REMEMBERED_SECONDS
        try:
            seconds = (moment_of(key.until) - now).total_seconds()
            submissions.recover(request, answer_of(key), seconds, endings)
        except ValueError as error:
            errors.append(error)
            submissions.recover(KeyedRequest(key.key, _NO_DIGEST), (), seconds, {})
    tell("keys", errors)


async def recover_pauses(
    file: FileThread, runner: Runner, say: Callable[[Event], None], clock: Clock
) -> None:
    """Pause what was paused."""
    for job_type in await file.call(JobFile.pauses):
        runner.pause(job_type or None)
        say(QueuePaused(timestamp=clock.now(), job_type=job_type or UNSET))


async def kept_schedules(
    file: FileThread, clock: Clock, tell: Callable[[str, Sequence[ValueError]], None]
) -> list[ScheduleState]:
    """What is kept of each schedule."""
    errors = list[ValueError]()
    now = clock.now()
    states = [state_of(kept, now, errors) for kept in await file.call(JobFile.schedules)]
    tell("schedules", errors)
    return states


def ending_of(end: KeyedEnd) -> Ending:
    """How the job of a key has ended. Raises ValueError if that can't be read."""
    status = known_status(end.status)
    if status not in TERMINAL:
        raise ValueError(f"{end.status!r} is no end of a job")
    return Ending(status, time_of(end.finished_at))


def state_of(kept: Schedule, now: datetime, errors: list[ValueError]) -> ScheduleState:
    """What a row says of a schedule; why any of its times can't be read goes to `errors`.

    If the time of its last tick can't be read, it makes up for no tick that was missed; nor does it
    if that of the end of its last pause can't. If that of the begin of its pause can't, it is
    paused.
    """

    def moment(text: str | None, if_unreadable: datetime | None) -> datetime | None:
        try:
            return None if text is None else moment_of(text)
        except ValueError as error:
            errors.append(error)
            return if_unreadable

    return ScheduleState(
        schedule=kept.schedule,
        ticked_at=moment(kept.ticked_at, None),
        last_run_at=moment(kept.last_run_at, None),
        last_job_id=kept.last_job_id,
        paused_since=moment(kept.paused_since, now),
        paused_by=kept.paused_by,
        resumed_at=moment(kept.resumed_at, now),
    )


def moment_of(text: str) -> datetime:
    """The time that a text tells. Raises ValueError if that is none, or one without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} has no zone")
    return moment
