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
    """The running job, as its handler sees it; a new one for each attempt."""

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
        """The service's log, bound to `job_id`, `job_type`, `worker_id` and `attempt`."""
        return self._log.bind(
            job_id=self.id, job_type=self.type, worker_id=self.worker_id, attempt=self.attempt
        )

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far the job has come, of how much, and with what; from the loop or any thread.

        Numbers are at least 0, in whatever unit, and `done` is not more than `total`; a note is cut
        off after 200 characters. The job shows the latest; the feed of events hears of it at once,
        and then at most four times a second. An attempt that is over is not heard any more.

        Raises ValueError or TypeError where it can't be.
        """
        progress = check_progress(done, total, note)
        with suppress(trio.RunFinishedError):  # the attempt is over, as everything is
            if not trio.lowlevel.in_trio_run():
                trio.from_thread.run_sync(self._report, progress, trio_token=self._token)
            elif trio.lowlevel.current_trio_token() is self._token:
                self._report(progress)
            else:  # a thread with a Trio of its own, which must not be blocked
                self._token.run_sync_soon(self._report, progress)
