"""What every store does with groups: it tells of one, and calls it off or runs it again as one."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import trio
from msgspec import structs

from job_service.errors import GroupConflict
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.group import Group, GroupView, Standing, members, new_group, view_of
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Draft, Job
from job_service.jobs.state.views import Cancellations
from job_service.stores.contract import ALL, KeyedRequest, Portion
from job_service.stores.live_store import draft_like
from job_service.stores.schedule_store import ScheduleStore


class KeptGroup(NamedTuple):
    """A group, how far it has come, and how many of its jobs run."""

    group: Group
    standing: Standing
    processing: int = 0


class GroupStore(ScheduleStore):
    """The base of stores. Meaning and errors of its methods are those of `contract.Store`.

    Groups that have not ended are in memory, unless the store says otherwise.
    """

    @abstractmethod
    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        """As `contract.Store` has it; the jobs are those of a group, if there is one."""

    @abstractmethod
    async def cancel_all(
        self, wanted: JobFilter, reason: str, by: str | None = None, portion: Portion = ALL
    ) -> Cancellations: ...

    @abstractmethod
    async def _read_group(self, group_id: str) -> KeptGroup:
        """A group as it is kept. Raises UnknownGroup, or StoreUnavailable."""

    @abstractmethod
    async def _unsuccessful(self, group_id: str) -> Sequence[Job]:
        """Those jobs of a group that has ended which did not complete, and are kept.

        Raises StoreUnavailable.
        """

    async def submit_group(
        self, group: Group, drafts: Sequence[Draft], request: KeyedRequest | None = None
    ) -> GroupView:
        jobs = await self.submit(members(group, drafts), request, group=group)
        if jobs[0].group in (None, group.id):
            return view_of(group, Standing(), 0)
        return structs.replace(await self.group(jobs[0].group), replayed=True)

    async def group(self, group_id: str) -> GroupView:
        return view_of(*await self._read_group(group_id))

    async def wait_for_group(self, group_id: str, seconds: float) -> GroupView:
        group = await self.group(group_id)
        if group.status != "running":
            return group
        with trio.move_on_after(seconds):
            await self._wait_for_end(group_id)
        return await self.group(group_id)

    async def cancel_group(
        self, group_id: str, reason: str, by: str | None = None
    ) -> Cancellations:
        group, standing, _ = await self._read_group(group_id)
        if standing.ended_at is not None:
            raise GroupConflict(f"group {group.id} is already {standing.status}")
        unended = JobFilter(group=group_id, statuses=("pending", "processing"))
        return await self.cancel_all(unended, reason, by)

    async def retry_group(
        self, group_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> GroupView:
        old, standing, _ = await self._read_group(group_id)
        if standing.status in ("running", "completed"):
            is_now = "still running" if standing.ended_at is None else "completed"
            raise GroupConflict(f"group {old.id} is {is_now}, so it has no job to run again")
        jobs = await self._unsuccessful(group_id)
        if not jobs:
            raise GroupConflict(f"no job of group {old.id} that did not complete is kept any more")
        group = new_group(
            len(jobs), self.clock, old.on_complete, old.on_failure, retry_of=old.id, by=by
        )
        return await self.submit_group(group, [draft_like(job, by) for job in jobs], request)

    async def _wait_for_end(self, group_id: str) -> None:
        """Return when the group has ended. It may be cancelled."""
        live = self._live.groups.get(group_id)
        if live is not None:
            await live.ended.wait()
