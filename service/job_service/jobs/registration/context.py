"""What a handler may know about the job it runs."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import trio

from job_service.jobs.state.progress import Progress, check_progress

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class JobContext:
    """The running job, as its handler sees it; each attempt gets a new one.

    `id` and `type` are the job's. `attempt` counts from 1, and no two attempts of a job have the
    same number. `worker_id` names the worker that runs it. In a process these four are all there
    is: `log` and `progress` raise RuntimeError there.
    """

    def __init__(
        self,
        id: str,
        type: str,
        worker_id: str,
        attempt: int,
        log: "FilteringBoundLogger",
        report: Callable[[Progress], None],
        token: trio.lowlevel.TrioToken,
    ) -> None:
        self.id = id
        self.type = type
        self.worker_id = worker_id
        self.attempt = attempt
        self._log = log
        self._report = report
        self._token = token

    @cached_property
    def log(self) -> "FilteringBoundLogger":
        """The service's log, bound to `job_id`, `job_type`, `worker_id` and `attempt`.

        It is a structlog logger: `job.log.info("email_sent", size=3)` writes one line. Its methods
        that write a line never raise, whatever they are given.
        """
        return self._log.bind(
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
            if not trio.lowlevel.in_trio_run():
                trio.from_thread.run_sync(self._report, progress, trio_token=self._token)
            elif trio.lowlevel.current_trio_token() is self._token:
                self._report(progress)
            else:  # a thread with a Trio loop of its own, which must not be blocked
                self._token.run_sync_soon(self._report, progress)
