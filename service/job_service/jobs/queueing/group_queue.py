"""The facade for groups: many jobs that are one thing, and end as one."""

from collections.abc import Iterable

import trio

from job_service.errors import InvalidOption
from job_service.jobs.queueing.keyed_requests import keyed_request
from job_service.jobs.queueing.option_checks import check_draft
from job_service.jobs.queueing.own_loop import OnOwnLoop
from job_service.jobs.queueing.words import require_words
from job_service.jobs.state.group import GroupView, new_group
from job_service.jobs.state.model import Draft
from job_service.jobs.state.views import Cancellations


class GroupQueue(OnOwnLoop):
    """Submits, reads, cancels and repeats groups.

    A group is accepted with all of its jobs, or not at all. It ends when the last of its jobs has
    ended, once and for all. If all of them have completed, its `on_complete` is submitted then, and
    else its `on_failure`: exactly once, also if the service dies in that moment. There is always a
    place for that job.

    A job of a group that is retried alone is no job of the group, and does not change it.

    Checkpoints, cancellation and idempotency keys are as in `JobQueue`.
    """

    async def submit(
        self,
        drafts: Iterable[Draft],
        *,
        on_complete: Draft | None = None,
        on_failure: Draft | None = None,
        idempotency_key: str | None = None,
        by: str | None = None,
    ) -> GroupView:
        """Accept all drafts that `JobQueue.check` returned as one group, or none of them.

        No draft may have a unique key, because the job that holds it may be none of the group; and
        the job that follows may not come after others. `by` is the name of who submits all of them.

        Raises InvalidOption, UnknownPredecessor, QueueFull if not all of them fit, BatchTooLarge if
        they never will, QueueClosed, InvalidIdempotencyKey, IdempotencyKeyReused, or UnknownGroup
        if the group of the idempotency key is no longer kept; and then nothing has changed.
        """
        await require_words(by)
        wanted = list(drafts)
        try:
            self._check(wanted, [each for each in (on_complete, on_failure) if each is not None])
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        request = None
        if idempotency_key is not None:
            asked = ("group", wanted, on_complete, on_failure)
            request = await keyed_request(idempotency_key, *asked)
        group = new_group(len(wanted), self._clock, on_complete, on_failure, by=by)
        return await self._store.submit_group(group, wanted, request)

    async def get(self, group_id: str) -> GroupView:
        """A group as it is now. Raises UnknownGroup."""
        return await self._store.group(group_id)

    async def wait(self, group_id: str, seconds: float) -> GroupView:
        """What `get` returns as soon as the group has ended, or after `seconds` at the latest.

        Raises UnknownGroup. Cancelling the wait does not cancel the group.
        """
        return await self._store.wait_for_group(group_id, seconds)

    async def cancel(
        self, group_id: str, reason: str = "requested", *, by: str | None = None
    ) -> Cancellations:
        """Cancel all jobs of the group that have not ended.

        The group ends with the last of them, and so its `on_failure` is submitted. Other tasks run
        in between; a caller who is cancelled has done a part of it.

        Raises UnknownGroup, or GroupConflict if the group has ended.
        """
        await require_words(by, reason)
        return await self._store.cancel_group(group_id, reason, by)

    async def retry(
        self, group_id: str, *, idempotency_key: str | None = None, by: str | None = None
    ) -> GroupView:
        """Run again the jobs of a group that did not complete, as a new group with the same ends.

        Its `retry_of` names the old group, which stays as it is.

        Raises UnknownGroup, GroupConflict if the group has not ended or has completed, QueueFull,
        BatchTooLarge, QueueClosed, InvalidIdempotencyKey or IdempotencyKeyReused, and then nothing
        has changed.
        """
        await require_words(by)
        request = None
        if idempotency_key is not None:
            asked = group_id.encode(errors="surrogatepass")
            request = await keyed_request(idempotency_key, "retry_group", asked)
        return await self._store.retry_group(group_id, request, by)

    def _check(self, drafts: list[Draft], callbacks: list[Draft]) -> None:
        """Raise InvalidOption if they make no group."""
        if not drafts:
            raise InvalidOption("a group needs at least one job")
        now = self._clock.now()
        for draft in (*drafts, *callbacks):
            check_draft(draft, now)
            if draft.unique_key is not None:
                raise InvalidOption("unique_key is not for the jobs of a group")
        if any(draft.after for draft in callbacks):
            raise InvalidOption("after is not for the job that follows a group")
