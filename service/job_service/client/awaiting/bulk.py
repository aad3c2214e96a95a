"""Methods that act on many jobs, portion by portion."""

from collections.abc import Iterable, Sequence
from typing import Unpack

from job_service.client.awaiting.driver import Driver
from job_service.client.calls.terms import OnProgress, OnUndercount
from job_service.client.encoding import Submission
from job_service.client.filters import with_type
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.views import Cancellations


class BulkMethods(Driver):
    """Submit, cancel, run now or run again as many jobs as you like."""

    async def submit_all(
        self,
        submissions: Iterable[Submission],
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress[int] = None,
    ) -> Sequence[str]:
        """As JobClient.submit_all."""
        return await self._run(self._calls.submit_all(submissions, idempotency_key, on_progress))

    async def cancel_all(
        self,
        job_type: str | None = None,
        /,
        *,
        on_progress: OnProgress[Cancellations] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> Cancellations:
        """As JobClient.cancel_all."""
        wanted = with_type(job_type, filters)
        return await self._run(self._calls.cancel_all(wanted, on_progress, on_undercount))

    async def run_now_all(
        self,
        job_type: str | None = None,
        /,
        *,
        on_progress: OnProgress[int] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """As JobClient.run_now_all."""
        wanted = with_type(job_type, filters)
        return await self._run(self._calls.run_now_all(wanted, on_progress, on_undercount))

    async def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress[int] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """As JobClient.retry_all."""
        wanted = with_type(job_type, filters)
        conversation = self._calls.retry_all(idempotency_key, wanted, on_progress, on_undercount)
        return await self._run(conversation)
