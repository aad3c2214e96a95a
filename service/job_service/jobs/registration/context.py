"""What a handler may know about the job it runs."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import trio

from job_service.jobs.registration.line_carrier import Keep, LineCarrier
from job_service.jobs.state.progress import Progress, check_progress

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class RunFacts(NamedTuple):
    """What is known of a run when it begins; see `JobContext`. It can be sent to a process."""

    id: str
    type: str
    worker_id: str
    attempt: int
    max_retries: int
    is_last_attempt: bool
    created_at: datetime
    scheduled_for: datetime | None
    unique_key: str | None
    deadline: datetime | None
    group: str | None = None
    callback_of: str | None = None


class JobContext:
    """The running job, as its handler sees it; each attempt gets a new one.

    `id`, `type`, `max_retries`, `created_at` and `unique_key` are the job's. `attempt` counts from
    1, and no two attempts of a job have the same number. `worker_id` names the worker that runs it.

    `is_last_attempt` says that no retry is left: if this attempt fails, the job has failed. A
    Snooze still brings it back, and an error that is not worth a retry ends it earlier.

    `scheduled_for` is the tick of the schedule that made the job, or made the job that it runs
    again; None if none did. Of several ticks that one job makes up for, it is the last.

    `group` is the id of the group that it is a job of, and `callback_of` that of the group on whose
    end it follows; None if there is none.

    `deadline` is when the timeout of its type interrupts this attempt; None without a timeout. All
    times are in UTC, by the wall clock. The timeout itself is a duration, so the attempt is
    interrupted sooner or later than at `deadline` if somebody sets that clock meanwhile.
    """

    def __init__(
        self,
        facts: RunFacts,
        log: "FilteringBoundLogger",
        report: Callable[[Progress], None],
        keep_line: Keep,
        token: trio.lowlevel.TrioToken,
    ) -> None:
        self._know(facts)
        self._log = log
        self._report = report
        self._keep_line = keep_line
        self._token = token

    def _know(self, facts: RunFacts) -> None:
        self.id = facts.id
        self.type = facts.type
        self.worker_id = facts.worker_id
        self.attempt = facts.attempt
        self.max_retries = facts.max_retries
        self.is_last_attempt = facts.is_last_attempt
        self.created_at = facts.created_at
        self.scheduled_for = facts.scheduled_for
        self.unique_key = facts.unique_key
        self.deadline = facts.deadline
        self.group = facts.group
        self.callback_of = facts.callback_of

    @cached_property
    def log(self) -> "FilteringBoundLogger":
        """The service's log, bound to `job_id`, `job_type`, `worker_id` and `attempt`.

        It is a structlog logger: `job.log.info("email_sent", size=3)` writes one line. Its methods
        that write a line never raise, whatever they are given, and may be called in any thread.

        The lines are kept with the attempt, too: the first 50 and the last 50, each part up to
        8 KiB. Lines of an attempt that is over are only in the log.
        """
        from job_service.telemetry.line_logger import heard_by  # it takes long to import

        carrier = LineCarrier(self._keep_line, self._token)
        return heard_by(self._log, carrier.hear).bind(
            job_id=self.id, job_type=self.type, worker_id=self.worker_id, attempt=self.attempt
        )

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Report how far the job has come, from the event loop or from any thread.

        `done` and `total` are in any unit, at least 0, and `done` is not more than `total`. `note`
        is a text of which the first 200 characters are kept. The job shows the latest report. The
        stream of events has the first at once, and then up to four a second. A report of an attempt
        that is over is ignored.

        Raises ValueError if a number is out of its range, and TypeError if an argument is of the
        wrong type.
        """
        progress = check_progress(done, total, note)
        with suppress(trio.RunFinishedError):  # the service has ended, and the attempt with it
            if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._token:
                self._report(progress)
            elif trio.lowlevel.in_trio_run() or _in_asyncio():  # on a loop that must not be blocked
                self._latest = progress
                self._token.run_sync_soon(self._report_latest, idempotent=True)
            else:
                trio.from_thread.run_sync(self._report, progress, trio_token=self._token)

    def _report_latest(self) -> None:
        self._report(self._latest)


def _in_asyncio() -> bool:
    """Whether an asyncio loop runs in this thread."""
    asyncio = sys.modules.get("asyncio")  # if it is not imported, there is none
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


def facts_of(context: JobContext) -> RunFacts:
    """What a process may know of the run."""
    return RunFacts._make(getattr(context, name) for name in RunFacts._fields)
