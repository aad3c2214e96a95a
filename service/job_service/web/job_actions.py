"""The routes that change jobs: edit, run now, cancel, run again."""

from typing import Annotated, Literal, get_args

import msgspec
from quart import Quart, Response, request

from job_service.jobs.queueing.options import limits
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.model import TERMINAL
from job_service.web.asgi import present_request
from job_service.web.edits import read_edit
from job_service.web.job_answers import created, etag_of
from job_service.web.queries import Query, takes
from job_service.web.responses import JSON, require_match
from job_service.web.submissions import read_idempotency_key
from job_service.web.uploads import Uploads

_Unfinished = Literal["pending", "processing"]


class CancelJobsQuery(Query, frozen=True):
    """Of `POST /jobs/cancel`."""

    type: Annotated[
        str,
        limits(
            "the type whose jobs to cancel, as in ?type=email",
            description="The type whose jobs to cancel.",
        ),
    ]
    status: (
        Annotated[
            _Unfinished,
            limits(
                f"one of {', '.join(get_args(_Unfinished))}",
                description="Only those that have this status.",
            ),
        ]
        | None
    ) = None


def add_job_actions(app: Quart, queue: JobQueue, uploads: Uploads) -> None:
    """What may be done to the jobs of `queue` beside submitting them."""

    @app.post("/jobs/cancel")
    @takes(CancelJobsQuery)
    async def cancel_jobs(query: CancelJobsQuery) -> Response:
        done = await queue.cancel_all(
            query.type, status=query.status, by=present_request().caller.name
        )
        return Response(msgspec.json.encode(done), content_type=JSON)

    @app.patch("/jobs/<job:job_id>")
    async def edit_job(job_id: str) -> Response:
        wanted = await read_edit(present_request(), uploads)
        await _require_present_state(queue, job_id, of_ended_jobs=False)
        job = await queue.edit(job_id, by=present_request().caller.name, **wanted)
        return Response(msgspec.json.encode(job), content_type=JSON)

    @app.post("/jobs/<job:job_id>/run-now")
    async def run_job_now(job_id: str) -> Response:
        await _require_present_state(queue, job_id, of_ended_jobs=False)
        job = await queue.run_now(job_id, by=present_request().caller.name)
        return Response(msgspec.json.encode(job), content_type=JSON)

    @app.post("/jobs/<job:job_id>/cancel")
    async def cancel_job(job_id: str) -> Response:
        await _require_present_state(queue, job_id, of_ended_jobs=False)
        job = await queue.cancel(job_id, by=present_request().caller.name)
        return Response(msgspec.json.encode(job), content_type=JSON)

    @app.post("/jobs/<job:job_id>/retry")
    async def retry_job(job_id: str) -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        await _require_present_state(queue, job_id, of_ended_jobs=True)
        job = await queue.retry(job_id, idempotency_key=key, by=incoming.caller.name)
        return created(job)


async def _require_present_state(queue: JobQueue, job_id: str, *, of_ended_jobs: bool) -> None:
    if "If-Match" in request.headers:
        job = await queue.get(job_id)
        if (job.status in TERMINAL) == of_ended_jobs:  # or it is a 409: RFC 9110, section 13.2.1
            require_match(etag_of(job))
