"""What is done to many jobs at once, portion by portion, wherever they are held."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Edit, Job
from job_service.jobs.state.views import Cancellations, MadeReady
from job_service.stores.contract import ALL, Portion
from job_service.stores.postgres.calling_off import CallOff
from job_service.stores.postgres.editing import EditElsewhere
from job_service.stores.postgres.listing import Listing
from job_service.stores.postgres.shared_reads import SharedReads

PORTION: Final = 500  # jobs in one transaction


class Sweeper(SharedReads):
    """Finds the jobs that are meant by pages, and changes each where it is.

    Meaning and errors of its methods are those of `contract.Store`.
    """

    async def cancel_all(
        self, wanted: JobFilter, reason: str, by: str | None = None, portion: Portion = ALL
    ) -> Cancellations:
        cancelled = interrupted = 0

        async def call_off(ids: list[str]) -> None:
            nonlocal cancelled, interrupted
            call = CallOff(self._not_here(ids), reason, by, statuses=wanted.statuses)
            await self._ask(call)
            cancelled += call.cancelled
            interrupted += call.interrupted
            for job in self._here(ids):
                if job.status not in TERMINAL and job.cancel_reason is None:
                    cancelled += job.status == "pending"
                    interrupted += job.status == "processing"
                    self._call_off(job, reason, by)
            await self._committer.kept()

        rest = await self._sweep_all(wanted, portion, call_off)
        return Cancellations(cancelled=cancelled, interrupted=interrupted, next=rest)

    async def run_now_all(
        self, wanted: JobFilter, by: str | None = None, portion: Portion = ALL
    ) -> MadeReady:
        made_ready = 0

        async def run_now(ids: list[str]) -> None:
            nonlocal made_ready
            change = EditElsewhere(self._not_here(ids), Edit(run_now=True, by=by))
            await self._ask(change)
            made_ready += change.changed
            made_ready += sum(self._runs_now(job, by) for job in self._here(ids))
            await self._committer.kept()

        rest = await self._sweep_all(wanted, portion, run_now)
        return MadeReady(made_ready=made_ready, next=rest)

    async def _sweep_all(
        self, wanted: JobFilter, portion: Portion, act: Callable[[list[str]], Awaitable[None]]
    ) -> str | None:
        """Do this to all jobs that are meant; where to go on if there may be more of them."""
        await self._require_open()
        await self._committer.kept()
        after, left = portion.after, math.inf if portion.limit is None else portion.limit
        while left > 0:
            size = int(min(left, PORTION))
            jobs, edge = await self._found(
                Listing(wanted, after=after, limit=size, newest_first=True)
            )
            await act([job.id for job in jobs])
            after, left = jobs[-1].id if len(jobs) == size else edge, left - len(jobs)
            if after is None:
                return None
        return after

    def _here(self, ids: list[str]) -> list[Job]:
        """Those of these jobs that this process holds; those that wait come first."""
        jobs = [job for job_id in ids if (job := self._jobs.get(job_id)) is not None]
        return sorted(jobs, key=lambda job: job.status == "processing")

    def _not_here(self, ids: list[str]) -> list[str]:
        return [job_id for job_id in ids if job_id not in self._jobs]
