"""Methods that act on many jobs, portion by portion."""

from collections.abc import Iterable, Sequence
from typing import Unpack

from job_service.client.blocking.driver import Driver
from job_service.client.calls.terms import OnProgress, OnUndercount
from job_service.client.encoding import Submission
from job_service.client.filters import with_type
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.views import Cancellations


class BulkMethods(Driver):
    """Submit, cancel, run now or run again as many jobs as you like."""

    def submit_all(
        self,
        submissions: Iterable[Submission],
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress[int] = None,
    ) -> Sequence[str]:
        """Submit any number of jobs; gives their ids, in their order.

        They go in portions, each of which is accepted as a whole or not at all, and for each of
        which patience begins anew. If one fails, those before it stay accepted: a note of the error
        says how many. Repeat the whole call with the same `idempotency_key`, and none of them is
        submitted twice. After each portion, `on_progress` is called with how many are accepted.

        Raises what `submit` raises. The line in its text is counted from the start of the portion.
        """
        return self._run(self._calls.submit_all(submissions, idempotency_key, on_progress))

    def cancel_all(
        self,
        job_type: str | None = None,
        /,
        *,
        on_progress: OnProgress[Cancellations] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> Cancellations:
        """Cancel all jobs of this type, or of which all `filters` are true, that have not ended.

        They are cancelled in portions, the newest first. After each one, `on_progress` is called
        with what is done so far. What it raises ends the call, which may be repeated.

        If the answer to a portion is lost, the portion is repeated, and what the first request did
        is not counted: at least this many are cancelled. Then `on_undercount` is called.

        Raises UnknownJobType, or InvalidOption, as if nothing says which jobs are meant.
        """
        wanted = with_type(job_type, filters)
        return self._run(self._calls.cancel_all(wanted, on_progress, on_undercount))

    def run_now_all(
        self,
        job_type: str | None = None,
        /,
        *,
        on_progress: OnProgress[int] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """Let all pending jobs that are meant run now, and give how many had not been ready.

        It goes in portions, and counts and calls as `cancel_all` does. Raises what that raises.
        """
        wanted = with_type(job_type, filters)
        return self._run(self._calls.run_now_all(wanted, on_progress, on_undercount))

    def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress[int] = None,
        on_undercount: OnUndercount = None,
        **filters: Unpack[JobFilters],
    ) -> int:
        """Run again all jobs that are meant, each once; gives how many.

        These are the failed ones, if no status is said. While the queue is full, it waits. Within a
        day no job is run again twice by it, unless the `idempotency_key` is another one. It goes in
        portions, and counts and calls as `cancel_all` does. Raises what that raises, QueueFull or
        QueueClosed.
        """
        wanted = with_type(job_type, filters)
        conversation = self._calls.retry_all(idempotency_key, wanted, on_progress, on_undercount)
        return self._run(conversation)
