"""The calls about all jobs that some filters mean. They go in portions."""

from typing import Any, TypeVar

from msgspec.structs import replace

from job_service.client.answers import read
from job_service.client.calls.terms import (
    LONGEST_PAUSE_SECONDS,
    OnProgress,
    OnUndercount,
    Terms,
    given,
)
from job_service.client.exchange import Conversation, Request
from job_service.client.filters import query_of
from job_service.errors import QueueFull
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.views import Cancellations, MadeReady, Retries


class BulkCalls(Terms):
    """Cancel many jobs, let them run now, or run them again.

    After each portion, `on_progress` is called with what is done so far. Of a portion that is asked
    for twice, what the last request did is counted, and `on_undercount` is called.
    """

    def cancel_all(
        self,
        filters: JobFilters,
        on_progress: OnProgress[Cancellations],
        on_undercount: OnUndercount,
    ) -> Conversation[Cancellations]:
        """`POST /jobs/cancel`, portion by portion."""
        done = Cancellations(cancelled=0, interrupted=0)
        after: str | None = None
        while True:
            request = self._portion("/jobs/cancel", filters, after)
            some: Cancellations = yield from self._count(request, Cancellations, on_undercount)
            done = Cancellations(
                cancelled=done.cancelled + some.cancelled,
                interrupted=done.interrupted + some.interrupted,
            )
            _tell(on_progress, done)
            after = some.next
            if after is None:
                return done

    def run_now_all(
        self, filters: JobFilters, on_progress: OnProgress[int], on_undercount: OnUndercount
    ) -> Conversation[int]:
        """`POST /jobs/run-now`, portion by portion."""
        made_ready = 0
        after: str | None = None
        while True:
            request = self._portion("/jobs/run-now", filters, after)
            some: MadeReady = yield from self._count(request, MadeReady, on_undercount)
            made_ready += some.made_ready
            _tell(on_progress, made_ready)
            after = some.next
            if after is None:
                return made_ready

    def retry_all(
        self,
        key: str | None,
        filters: JobFilters,
        on_progress: OnProgress[int],
        on_undercount: OnUndercount,
    ) -> Conversation[int]:
        """`POST /jobs/retry`, portion by portion, with a pause whenever the queue is full."""
        retried, after, waited = 0, None, 0.0
        while True:
            pause = LONGEST_PAUSE_SECONDS if waited else 0.0
            request = replace(
                self._portion("/jobs/retry", filters, after, key), pause_seconds=pause
            )
            some: Retries = yield from self._count(request, Retries, on_undercount)
            retried += some.retried
            _tell(on_progress, retried)
            after = some.next
            if not some.full:
                waited = 0.0
                if after is None:
                    return retried
                continue
            waited = LONGEST_PAUSE_SECONDS if some.retried else waited + LONGEST_PAUSE_SECONDS
            if waited > self.patience_seconds:
                raise QueueFull(f"the queue is full: {retried} jobs run again so far")

    def _count(self, request: Request, kind: Any, on_undercount: OnUndercount) -> Conversation[Any]:
        answer = yield from self._ask(request)
        if answer.may_be_second and on_undercount is not None:
            on_undercount()
        return read(answer, kind)

    def _portion(
        self, path: str, filters: JobFilters, after: str | None, key: str | None = None
    ) -> Request:
        return self._post(path, None, key, query_of(filters) | given(cursor=after))


T = TypeVar("T")


def _tell(on_progress: OnProgress[T], done: T) -> None:
    if on_progress is not None:
        on_progress(done)
