"""Methods for groups: many jobs that are one thing."""

from collections.abc import Iterable

from job_service.client.blocking.driver import Driver
from job_service.client.encoding import Submission
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.views import Cancellations


class GroupMethods(Driver):
    """Submit a group, see how far it has come, cancel it, run it again."""

    def submit_group(
        self,
        submissions: Iterable[Submission],
        *,
        on_complete: Submission | None = None,
        on_failure: Submission | None = None,
        idempotency_key: str | None = None,
    ) -> GroupView:
        """Submit many jobs as one group, or none of them.

        When the last of them has ended, `on_complete` is submitted if all have completed, and else
        `on_failure`. All together may be 1 MiB of JSON. Raises what `submit` raises.
        """
        callbacks = {"on_complete": on_complete, "on_failure": on_failure}
        return self._run(self._calls.submit_group(submissions, callbacks, idempotency_key))

    def get_group(self, group_id: str) -> GroupView:
        """How far a group has come. Raises UnknownGroup."""
        return self._run(self._calls.get_group(group_id))

    def wait_for_group(self, group_id: str, seconds: float | None = None) -> GroupView:
        """The group, when it has ended, or after `seconds` as it is then; as `wait` for a job.

        Raises UnknownGroup.
        """
        return self._run(self._calls.wait_for_group(group_id, seconds))

    def cancel_group(self, group_id: str) -> Cancellations:
        """Cancel all jobs of a group that have not ended.

        If an answer is lost on the way, all of its cancelled jobs are counted. Raises
        UnknownGroup, or GroupConflict if all have ended.
        """
        return self._run(self._calls.cancel_group(group_id))

    def retry_group(self, group_id: str, *, idempotency_key: str | None = None) -> GroupView:
        """Run again the jobs of a group that did not complete, as a new group.

        Raises UnknownGroup, GroupConflict if there are none or it has not ended, QueueFull,
        QueueClosed or IdempotencyKeyReused.
        """
        return self._run(self._calls.retry_group(group_id, idempotency_key))
