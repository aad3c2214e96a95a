"""The calls about one job, and those that list jobs."""

import math
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from job_service.client.answers import (
    ALREADY_FINISHED,
    NOT_FINISHED,
    NOT_PENDING,
    WAITS_FOR_JOBS,
    next_cursor,
    problem_in,
    read,
    read_job,
)
from job_service.client.calls.terms import LONGEST_POLL_SECONDS, Terms, given
from job_service.client.encoding import edit_json, new_key, number_text, submission_json
from job_service.client.exchange import Answer, Conversation
from job_service.client.filters import query_of
from job_service.errors import (
    AlreadyFinished,
    NotFinished,
    NotPending,
    UnexpectedAnswer,
    WaitsForJobs,
)
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobPage
from job_service.jobs.state.model import TERMINAL


class JobCalls(Terms):
    """Submit a job, see what becomes of it, change it; and list jobs."""

    def submit(
        self, job_type: str, payload: object, key: str | None, options: JobOptions
    ) -> Conversation[JobSummary]:
        """`POST /jobs`."""
        body = submission_json(job_type, payload, options)
        return self._read(self._post("/jobs", body, key or new_key()), JobSummary)

    def submit_and_wait(
        self,
        job_type: str,
        payload: object,
        seconds: float | None,
        key: str | None,
        options: JobOptions,
    ) -> Conversation[JobDetail]:
        """`POST /jobs?wait=`, and then `GET /jobs/{job_id}?wait=` until it has ended."""
        body = submission_json(job_type, payload, options)
        left = math.inf if seconds is None else seconds
        wait = min(left, LONGEST_POLL_SECONDS)
        answer = yield from self._ask(
            self._post("/jobs", body, key or new_key(), {"wait": number_text(wait)}, wait)
        )
        job: JobSummary
        try:
            job = read_job(answer)
        except UnexpectedAnswer:  # it is no longer kept, and the next call says so
            job = read(answer, JobSummary)
        left -= answer.seconds
        if isinstance(job, JobDetail) and (_has_ended(job) or left <= 0):
            return job
        return (yield from self.wait(job.id, max(left, 0.0)))

    def get(self, job_id: str) -> Conversation[JobDetail]:
        """`GET /jobs/{job_id}`."""
        answer = yield from self._ask(self._get(_path(job_id)))
        return read_job(answer)

    def wait(self, job_id: str, seconds: float | None) -> Conversation[JobDetail]:
        """`GET /jobs/{job_id}?wait=`, again and again."""
        return self._wait(_path(job_id), seconds, read_job, _has_ended)

    def retry(self, job_id: str, key: str | None) -> Conversation[JobSummary]:
        """`POST /jobs/{job_id}/retry`."""
        request = self._post(f"{_path(job_id)}/retry", None, key or new_key())
        answer = yield from self._ask(request)
        if problem_in(answer).type == NOT_FINISHED:
            raise NotFinished((yield from self.get(job_id)))
        job: JobSummary = read(answer, JobSummary)
        return job

    def run_now(self, job_id: str) -> Conversation[JobDetail]:
        """`POST /jobs/{job_id}/run-now`."""
        answer = yield from self._ask(self._post(f"{_path(job_id)}/run-now"))
        if problem_in(answer).type == NOT_PENDING and answer.may_be_second:
            return (yield from self.get(job_id))  # it runs because of the first request
        return (yield from self._pending(job_id, answer))

    def edit(
        self, job_id: str, run_at: datetime | None, priority: int | None, payload: object
    ) -> Conversation[JobDetail]:
        """`PATCH /jobs/{job_id}`."""
        body = edit_json(run_at, priority, payload)
        answer = yield from self._ask(replace(self._post(_path(job_id), body), method="PATCH"))
        if problem_in(answer).type == NOT_PENDING and answer.may_be_second:
            job = yield from self.get(job_id)
            if _is_edited(job, run_at, priority, payload):
                return job  # by the first request, and then it began
            raise NotPending(job)
        return (yield from self._pending(job_id, answer))

    def _pending(self, job_id: str, answer: Answer) -> Conversation[JobDetail]:
        """The job that waits. Raises the exception of a problem."""
        if problem_in(answer).type == NOT_PENDING:
            raise NotPending((yield from self.get(job_id)))
        if problem_in(answer).type == WAITS_FOR_JOBS:
            raise WaitsForJobs((yield from self.get(job_id)))
        return read_job(answer)

    def cancel(self, job_id: str) -> Conversation[JobDetail]:
        """`POST /jobs/{job_id}/cancel`."""
        answer = yield from self._ask(self._post(f"{_path(job_id)}/cancel"))
        if problem_in(answer).type == ALREADY_FINISHED:
            job = yield from self.get(job_id)
            if job.status == "cancelled" and answer.may_be_second:
                return job  # by the first request, whose answer was lost
            raise AlreadyFinished(job)
        return read_job(answer)

    def jobs(
        self,
        filters: JobFilters,
        after: str | None,
        limit: int,
        *,
        newest_first: bool,
        excerpts: bool,
    ) -> Conversation[Sequence[JobSummary]]:
        """`GET /jobs`, page after page if they are short."""
        found: list[JobSummary] = []
        while True:
            page = yield from self.page(
                filters, after, limit - len(found), newest_first=newest_first, excerpts=excerpts
            )
            found += page.jobs
            after = page.next
            if after is None or len(found) >= limit:
                return found

    def page(
        self,
        filters: JobFilters,
        after: str | None,
        limit: int,
        *,
        newest_first: bool,
        excerpts: bool,
    ) -> Conversation[JobPage]:
        """`GET /jobs`."""
        query = query_of(filters) | {"order": "newest" if newest_first else "oldest"}
        query |= given(cursor=after, limit=limit, include="excerpts" if excerpts else None)
        answer = yield from self._ask(self._get("/jobs", query))
        return JobPage(read(answer, list[JobSummary]), next_cursor(answer))


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='', errors='replace')}"


def _is_edited(
    job: JobDetail, run_at: datetime | None, priority: int | None, payload: object
) -> bool:
    """Whether a job that waits no more looks as if it was changed like this before it began."""
    if job.edits == 0 or priority not in (None, job.priority):
        return False
    if run_at is not None and job.attempts and job.attempts[-1].started_at < run_at:
        return False
    return payload is UNSET or job.hidden or _same_json(job.payload, encode_payload(payload))


def _same_json(one: bytes | msgspec.Raw, other: bytes) -> bool:
    same: bool = msgspec.json.decode(one) == msgspec.json.decode(other)
    return same


def _has_ended(job: JobDetail) -> bool:
    return job.status in TERMINAL
