"""Acts on many jobs at once: says which are meant, and runs them again."""

from collections.abc import Sequence
from typing import Final

import trio
from msgspec import structs

from job_service.errors import InvalidOption, NotFinished, QueueFull, UnknownJob, UnreadableJob
from job_service.jobs.queueing.filters import JobFilters, job_filter
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Status
from job_service.jobs.state.views import Retries
from job_service.stores.contract import KeyedRequest, Portion, Store

_AT_THE_SAME_TIME: Final = 50  # submissions, of which a durable store keeps many in one go


def filter_of(filters: JobFilters, statuses: Sequence[Status]) -> JobFilter:
    """The jobs that are meant, which must have one of these statuses.

    Raises InvalidOption if nothing says which, because all jobs are never meant by saying nothing.
    """
    wanted = job_filter(**filters)
    if wanted == JobFilter():
        raise InvalidOption(
            "nothing says which jobs are meant: give a type, a status or another filter"
        )
    if not set(statuses).issuperset(wanted.statuses):
        raise InvalidOption(f"status must be one of {', '.join(statuses)}")
    return structs.replace(wanted, statuses=wanted.statuses or tuple(statuses))


async def retry_all(
    store: Store, ended: JobFilter, key: str | None, by: str | None, portion: Portion
) -> Retries:
    """Run these jobs again, the newest first, each once for this idempotency key.

    Raises QueueClosed or StoreUnavailable; then a part of it is done.
    """
    retried, after, left = 0, portion.after, portion.limit
    while left is None or left > 0:
        size = _AT_THE_SAME_TIME if left is None else min(left, _AT_THE_SAME_TIME)
        page = await store.page(ended, after=after, limit=size, newest_first=True)
        answers = await _retry_these(store, page.jobs, key, by)
        retried += sum(answer is not None and not answer.replayed for answer in answers.values())
        refused = [job.id for job in page.jobs if job.id not in answers]
        if refused:  # those behind it that were not refused are passed over the next time
            before = [job.id for job in page.jobs if job.id > refused[0]]
            return Retries(retried=retried, full=True, next=before[-1] if before else after)
        after = page.next
        if after is None:
            return Retries(retried=retried)
        left = None if left is None else left - len(page.jobs)
    return Retries(retried=retried, next=after)


async def _retry_these(
    store: Store, jobs: Sequence[JobSummary], key: str | None, by: str | None
) -> dict[str, JobSummary | None]:
    """What came of each of them; nothing of those for which the queue was full."""
    answers: dict[str, JobSummary | None] = {}
    errors: list[Exception] = []

    async def retry(job_id: str) -> None:
        # With a space, which no key of a client has.
        request = KeyedRequest(f"{key or 'retry'} {job_id}", b"retry")
        try:
            answers[job_id] = await store.run_again(job_id, request, by)
        except QueueFull:
            pass
        except (UnknownJob, NotFinished, UnreadableJob):  # it is no longer kept, or not whole
            answers[job_id] = None
        except Exception as error:  # raised below, without a group around it
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(retry, job.id)
    if errors:
        raise errors[0]
    return answers
