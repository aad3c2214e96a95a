"""The routes that submit and read jobs: decode the request, call the queue, encode its answer."""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from msgspec import structs
from quart import Quart, Response, request
from werkzeug.routing import BaseConverter

from job_service.errors import StoreUnavailable, UnknownJob
from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.queueing.filters import MAX_PAGE
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobSummary
from job_service.web.asgi import present_request
from job_service.web.job_answers import created, etag_of, replayed
from job_service.web.job_filters import JobFilterQuery
from job_service.web.queries import Query, takes
from job_service.web.responses import JSON, conditional_response, json_response, tag_of
from job_service.web.sensitive import visible
from job_service.web.submissions import (
    Batches,
    BatchReceipt,
    read_idempotency_key,
    read_submission,
)
from job_service.web.uploads import Uploads

DEFAULT_PAGE: Final = 100
MAX_WAIT_SECONDS: Final = 60


class JobListQuery(JobFilterQuery, frozen=True):
    """The query of `GET /jobs`."""

    order: Annotated[
        Literal["oldest", "newest"],
        constraint(
            "oldest or newest, the end to start from",
            description="Which end to start from. A cursor keeps the order that it comes from.",
        ),
    ] = "oldest"
    include: (
        Annotated[
            list[Literal["excerpts"]],
            constraint(
                "excerpts",
                description=(
                    "Tell of each job how its payload begins, `payload_excerpt`, and why it waits, "
                    "`waits_because`."
                ),
            ),
        ]
        | None
    ) = None
    limit: Annotated[
        int,
        constraint(
            f"a number from 1 to {MAX_PAGE}",
            description="At most this many jobs in one answer.",
            ge=1,
            le=MAX_PAGE,
        ),
    ] = DEFAULT_PAGE
    cursor: (
        Annotated[
            UUID,
            constraint(
                "the one of a Link header",
                description="The start of the page, from the `Link` header of the page before.",
            ),
        ]
        | None
    ) = None


class WaitQuery(Query, frozen=True):
    """The query of `POST /jobs`, `GET /jobs/{job_id}` and `GET /groups/{group_id}`."""

    wait: (
        Annotated[
            float,
            constraint(
                f"a number of seconds from 0 to {MAX_WAIT_SECONDS}",
                description="Answer when it has ended, but after this many seconds at most.",
                ge=0,
                le=MAX_WAIT_SECONDS,
            ),
        ]
        | None
    ) = None


class JobPath(BaseConverter):
    """Any id, but not the name of another call, so that GET /jobs/batch is a 405 and no 404."""

    regex = r"(?!(?:batch|cancel|run-now|retry)\Z)[^/]+"


def add_job_routes(
    app: Quart, queue: JobQueue, registry: Registry, uploads: Uploads, batches: Batches
) -> None:
    """`/jobs` and what is below it, on `queue`, for jobs of the types of `registry`."""
    app.url_map.converters["job"] = JobPath

    @app.post("/jobs")
    @takes(WaitQuery)
    async def submit_job(query: WaitQuery) -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        submission = await read_submission(incoming, uploads)
        job = await queue.submit(
            submission.type,
            submission.payload,
            idempotency_key=key,
            by=incoming.caller.name,
            **submission.options(),
        )
        told = await _after_wait(queue, job, query.wait)
        return created(visible(told, incoming.caller, registry))

    @app.post("/jobs/batch")
    async def submit_batch() -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        drafts = await batches.read(incoming)
        jobs = await queue.submit_all(drafts, idempotency_key=key, by=incoming.caller.name)
        receipt = BatchReceipt(
            ids=[job.id for job in jobs], duplicates=sum(job.duplicate for job in jobs)
        )
        response = json_response(receipt, HTTPStatus.CREATED)
        return replayed(response) if jobs[0].replayed else response

    @app.get("/jobs")
    @takes(JobListQuery)
    async def list_jobs(query: JobListQuery) -> Response:
        await queue.require_types(query.type or ())  # one that is misspelt would look empty
        page = await queue.page(
            after=str(query.cursor) if query.cursor else None,
            limit=query.limit,
            newest_first=query.order == "newest",
            **query.filters,
        )
        jobs: list[JobSummary] = page.jobs
        if query.include:
            caller = present_request().caller
            jobs = [visible(job, caller, registry) for job in await queue.with_excerpts(jobs)]
        headers = {}
        if page.next is not None:
            rest = {**request.args.to_dict(flat=False), "limit": query.limit, "cursor": page.next}
            headers["Link"] = f'</jobs?{urlencode(rest, doseq=True)}>; rel="next"'
        body = msgspec.json.encode(jobs)
        etag = tag_of(body, headers.get("Link", "").encode())
        return conditional_response(etag, lambda: body, JSON, headers)

    @app.get("/jobs/<job:job_id>")
    @takes(WaitQuery)
    async def get_job(query: WaitQuery, job_id: str) -> Response:
        job = await (queue.get(job_id) if query.wait is None else queue.wait(job_id, query.wait))
        job = visible(job, present_request().caller, registry)
        return conditional_response(etag_of(job), lambda: msgspec.json.encode(job), JSON, {})


async def _after_wait(queue: JobQueue, job: JobSummary, seconds: float | None) -> JobSummary:
    """All of a job that was submitted, when it has ended or the time is over.

    The job is accepted. So if all of it can't be told, the answer is what there was to tell before,
    and no problem that would make the client submit it again.
    """
    if seconds is None:
        return job
    try:
        detail = await queue.wait(job.id, seconds)
    except (UnknownJob, StoreUnavailable):
        return job
    return structs.replace(detail, replayed=job.replayed, duplicate=job.duplicate)
