"""Methods for one job, and for lists of jobs."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Unpack

from msgspec import UNSET

from job_service.client.awaiting.driver import Driver
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobPage


class JobMethods(Driver):
    """Submit a job, see what becomes of it, change it; and list jobs."""

    async def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """As JobClient.submit."""
        return await self._run(self._calls.submit(job_type, payload, idempotency_key, options))

    async def submit_and_wait(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobDetail:
        """As JobClient.submit_and_wait."""
        conversation = self._calls.submit_and_wait(
            job_type, payload, seconds, idempotency_key, options
        )
        return await self._run(conversation)

    async def get(self, job_id: str) -> JobDetail:
        """As JobClient.get."""
        return await self._run(self._calls.get(job_id))

    async def wait(self, job_id: str, seconds: float | None = None) -> JobDetail:
        """As JobClient.wait."""
        return await self._run(self._calls.wait(job_id, seconds))

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """As JobClient.list."""
        conversation = self._calls.jobs(
            filters, after, limit, newest_first=newest_first, excerpts=excerpts
        )
        return await self._run(conversation)

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As JobClient.page."""
        conversation = self._calls.page(
            filters, after, limit, newest_first=newest_first, excerpts=excerpts
        )
        return await self._run(conversation)

    async def list_all(
        self,
        *,
        newest_first: bool = False,
        excerpts: bool = False,
        **filters: Unpack[JobFilters],
    ) -> AsyncIterator[JobSummary]:
        """As JobClient.list_all."""
        last: str | None = None
        while page := await self.list(
            after=last, limit=1_000, newest_first=newest_first, excerpts=excerpts, **filters
        ):
            for job in page:
                yield job
            last = page[-1].id

    async def run_now(self, job_id: str) -> JobDetail:
        """As JobClient.run_now."""
        return await self._run(self._calls.run_now(job_id))

    async def edit(
        self,
        job_id: str,
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        payload: object = UNSET,
    ) -> JobDetail:
        """As JobClient.edit."""
        return await self._run(self._calls.edit(job_id, run_at, priority, payload))

    async def cancel(self, job_id: str) -> JobDetail:
        """As JobClient.cancel."""
        return await self._run(self._calls.cancel(job_id))

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobSummary:
        """As JobClient.retry."""
        return await self._run(self._calls.retry(job_id, idempotency_key))
