"""The routes that change jobs: edit, run now, cancel, run again."""

from typing import Annotated, Final
from uuid import UUID

from quart import Quart, Response, request

from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.model import TERMINAL
from job_service.web.asgi import present_request
from job_service.web.edits import read_edit
from job_service.web.job_answers import created, etag_of
from job_service.web.job_filters import JobFilterQuery
from job_service.web.queries import takes
from job_service.web.responses import json_response, require_match, states_to_match
from job_service.web.submissions import read_idempotency_key
from job_service.web.uploads import Uploads

MAX_AT_ONCE: Final = 1_000


class ManyJobsQuery(JobFilterQuery, frozen=True):
    """The query of `POST /jobs/cancel`, `/jobs/run-now` and `/jobs/retry`."""

    limit: Annotated[
        int,
        constraint(
            f"a number from 1 to {MAX_AT_ONCE}",
            description="How many jobs to look at, at most, the newest first. The answer says if "
            "there may be more.",
            ge=1,
            le=MAX_AT_ONCE,
        ),
    ] = MAX_AT_ONCE
    cursor: (
        Annotated[
            UUID,
            constraint(
                "the `next` of an answer",
                description="Where to go on: the `next` of the answer before.",
            ),
        ]
        | None
    ) = None

    @property
    def after(self) -> str | None:
        """The id to go on after."""
        return None if self.cursor is None else str(self.cursor)


def add_job_actions(app: Quart, queue: JobQueue, uploads: Uploads) -> None:
    """What may be done to the jobs of `queue` that are there."""

    @app.post("/jobs/cancel")
    @takes(ManyJobsQuery)
    async def cancel_jobs(query: ManyJobsQuery) -> Response:
        done = await queue.cancel_all(
            after=query.after,
            limit=query.limit,
            by=present_request().caller.name,
            **query.filters,
        )
        return json_response(done)

    @app.post("/jobs/run-now")
    @takes(ManyJobsQuery)
    async def run_jobs_now(query: ManyJobsQuery) -> Response:
        done = await queue.run_now_all(
            after=query.after,
            limit=query.limit,
            by=present_request().caller.name,
            **query.filters,
        )
        return json_response(done)

    @app.post("/jobs/retry")
    @takes(ManyJobsQuery)
    async def retry_jobs(query: ManyJobsQuery) -> Response:
        incoming = present_request()
        done = await queue.retry_all(
            after=query.after,
            limit=query.limit,
            idempotency_key=read_idempotency_key(incoming),
            by=incoming.caller.name,
            **query.filters,
        )
        return json_response(done)

    @app.patch("/jobs/<job:job_id>")
    async def edit_job(job_id: str) -> Response:
        wanted = await read_edit(present_request(), uploads)
        by = present_request().caller.name
        job = await queue.edit(job_id, expected=states_to_match(), by=by, **wanted)
        return json_response(job)

    @app.post("/jobs/<job:job_id>/run-now")
    async def run_job_now(job_id: str) -> Response:
        by = present_request().caller.name
        job = await queue.run_now(job_id, expected=states_to_match(), by=by)
        return json_response(job)

    @app.post("/jobs/<job:job_id>/cancel")
    async def cancel_job(job_id: str) -> Response:
        by = present_request().caller.name
        job = await queue.cancel(job_id, expected=states_to_match(), by=by)
        return json_response(job)

    @app.post("/jobs/<job:job_id>/retry")
    async def retry_job(job_id: str) -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        await _require_match(queue, job_id)
        job = await queue.retry(job_id, idempotency_key=key, by=incoming.caller.name)
        return created(job)


async def _require_match(queue: JobQueue, job_id: str) -> None:
    """Raise Problem, 412, if the job has ended and is another one than If-Match says.

    It changes no more. If it has not ended, that is a 409: RFC 9110, section 13.2.1.
    """
    if "If-Match" in request.headers:
        job = await queue.get(job_id)
        if job.status in TERMINAL:
            require_match(etag_of(job))
