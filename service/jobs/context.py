"""What a handler may know about the job it runs."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class JobContext:
    """The running job, as its handler sees it; a new one for each attempt."""

    def __init__(
        self, id: str, type: str, worker_id: str, attempt: int, log: "FilteringBoundLogger"
    ) -> None:
        self.id = id
        self.type = type
        self.worker_id = worker_id
        self.attempt = attempt
        self._log = log

    @cached_property
    def log(self) -> "FilteringBoundLogger":
        """The service's log, bound to `job_id`, `job_type`, `worker_id` and `attempt`."""
        return self._log.bind(
            job_id=self.id, job_type=self.type, worker_id=self.worker_id, attempt=self.attempt
        )
