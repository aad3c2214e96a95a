"""Methods for groups: many jobs that are one thing."""

from collections.abc import Iterable

from job_service.client.awaiting.driver import Driver
from job_service.client.encoding import Submission
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.views import Cancellations


class GroupMethods(Driver):
    """Submit a group, see how far it has come, cancel it, run it again."""

    async def submit_group(
        self,
        submissions: Iterable[Submission],
        *,
        on_complete: Submission | None = None,
        on_failure: Submission | None = None,
        idempotency_key: str | None = None,
    ) -> GroupView:
        """As JobClient.submit_group."""
        callbacks = {"on_complete": on_complete, "on_failure": on_failure}
        return await self._run(self._calls.submit_group(submissions, callbacks, idempotency_key))

    async def get_group(self, group_id: str) -> GroupView:
        """As JobClient.get_group."""
        return await self._run(self._calls.get_group(group_id))

    async def wait_for_group(self, group_id: str, seconds: float | None = None) -> GroupView:
        """As JobClient.wait_for_group."""
        return await self._run(self._calls.wait_for_group(group_id, seconds))

    async def cancel_group(self, group_id: str) -> Cancellations:
        """As JobClient.cancel_group."""
        return await self._run(self._calls.cancel_group(group_id))

    async def retry_group(self, group_id: str, *, idempotency_key: str | None = None) -> GroupView:
        """As JobClient.retry_group."""
        return await self._run(self._calls.retry_group(group_id, idempotency_key))
