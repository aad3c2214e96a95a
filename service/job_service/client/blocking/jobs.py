"""Methods for one job, and for lists of jobs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Unpack

from msgspec import UNSET

from job_service.client.blocking.driver import Driver
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobPage


class JobMethods(Driver):
    """Submit a job, see what becomes of it, change it; and list jobs."""

    def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """Submit a job. A worker runs it as soon as one is free, or as `options` say.

        `payload` is anything msgspec can write as JSON. If it is left out, the job type says what
        it is. If another job holds the `unique_key`, no job is made, and that one is returned as a
        `duplicate`.

        Raises UnknownJobType, InvalidPayload, InvalidOption, UnknownPredecessor, BatchTooLarge or
        IdempotencyKeyReused; and QueueFull or QueueClosed if patience is over.
        """
        return self._run(self._calls.submit(job_type, payload, idempotency_key, options))

    def submit_and_wait(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobDetail:
        """Submit a job, and return all of it when it has ended, or after `seconds` as it is then.

        Raises what `submit` and `wait` raise.
        """
        conversation = self._calls.submit_and_wait(
            job_type, payload, seconds, idempotency_key, options
        )
        return self._run(conversation)

    def get(self, job_id: str) -> JobDetail:
        """All there is to know of a job. Raises UnknownJob."""
        return self._run(self._calls.get(job_id))

    def wait(self, job_id: str, seconds: float | None = None) -> JobDetail:
        """What `get` returns, when the job has ended, or after `seconds` as it is then.

        It outlasts a restart of the service, if that takes no longer than `patience_seconds`, and
        the wait may then be a little longer. Raises UnknownJob, as when jobs are kept in memory and
        the service was restarted.
        """
        return self._run(self._calls.wait(job_id, seconds))

    def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """Up to `limit` jobs, 1,000 at most, of which all `filters` are true, in order of creation.

        The list begins with the job that follows in this order on the one whose id is `after`.
        If there are fewer than `limit`, these are all: while pages of the service are short, it is
        asked again. With `excerpts`, each job says how its payload begins, and why it waits.
        Raises UnknownJobType or InvalidOption.
        """
        conversation = self._calls.jobs(
            filters, after, limit, newest_first=newest_first, excerpts=excerpts
        )
        return self._run(conversation)

    def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As `list`, but by one question, and with the id to go on after.

        So a page may have fewer jobs than `limit`, or none, and yet not be the last one. Raises
        what `list` raises.
        """
        conversation = self._calls.page(
            filters, after, limit, newest_first=newest_first, excerpts=excerpts
        )
        return self._run(conversation)

    def list_all(
        self,
        *,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Iterator[JobSummary]:
        """All jobs of which all `filters` are true, page by page. Raises what `list` raises."""
        last: str | None = None
        while page := self.list(
            after=last, limit=1_000, newest_first=newest_first, excerpts=excerpts, **filters
        ):
            yield from page
            last = page[-1].id

    def run_now(self, job_id: str) -> JobDetail:
        """Let a job wait no longer for its time: one that is for later, was snoozed or is retried.

        One that is ready already stays as it is. Raises UnknownJob, NotPending if it runs or has
        ended, or WaitsForJobs.
        """
        return self._run(self._calls.run_now(job_id))

    def edit(
        self,
        job_id: str,
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        payload: object = UNSET,
    ) -> JobDetail:
        """Give a job that waits another time, priority or payload; what is left out stays.

        Raises UnknownJob, NotPending if it runs or has ended, UnknownJobType, InvalidPayload,
        InvalidOption, or QueueFull if there is no room for a longer payload.
        """
        return self._run(self._calls.edit(job_id, run_at, priority, payload))

    def cancel(self, job_id: str) -> JobDetail:
        """Cancel a job: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, or AlreadyFinished if it has ended.
        """
        return self._run(self._calls.cancel(job_id))

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """Run again a job that has ended, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, QueueFull, QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.retry(job_id, idempotency_key))
