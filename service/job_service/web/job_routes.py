"""The routes of jobs: decode the request, call the queue, encode its answer."""

import re
from http import HTTPStatus
from typing import get_args
from urllib.parse import urlencode

import msgspec
from msgspec import structs
from quart import Quart, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import BaseConverter

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.model import TERMINAL, Status
from job_service.web.conditional import conditional_response, require_match, tag
from job_service.web.ids import read_id
from job_service.web.problems import bad_query, malformed
from job_service.web.submissions import (
    Batches,
    BatchReceipt,
    read_idempotency_key,
    read_submission,
)
from job_service.web.uploads import Uploads

DEFAULT_PAGE = 100
MAX_PAGE = 1_000
MAX_WAIT_SECONDS = 60

_NOTHING = msgspec.Raw(b"null")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_STATUSES: tuple[Status, ...] = get_args(Status)
_UNFINISHED = tuple(status for status in _STATUSES if status not in TERMINAL)


class JobPath(BaseConverter):
    """Any id, but not the name of another call: else GET /jobs/batch would be one of no job."""

    regex = r"(?!(?:batch|cancel)\Z)[^/]+"


def add_job_routes(app: Quart, queue: JobQueue, registry: Registry) -> None:
    """`/jobs` and what is below it, on `queue`, for jobs of the types of `registry`."""
    app.url_map.converters["job"] = JobPath
    uploads = Uploads()
    batches = Batches(queue, uploads)

    @app.post("/jobs")
    async def submit_job() -> Response:
        key = read_idempotency_key()
        submission = await read_submission(uploads)
        job = await queue.submit(
            submission.type,
            submission.payload,
            idempotency_key=key,
            **submission.options(),
        )
        return _created(job)

    @app.post("/jobs/batch")
    async def submit_batch() -> Response:
        key = read_idempotency_key()
        jobs = await queue.submit_all(await batches.read(), idempotency_key=key)
        receipt = BatchReceipt(
            ids=[job.id for job in jobs], duplicates=sum(job.duplicate for job in jobs)
        )
        response = Response(
            msgspec.json.encode(receipt), HTTPStatus.CREATED, content_type="application/json"
        )
        return _replayed(response) if jobs[0].replayed else response

    @app.post("/jobs/cancel")
    async def cancel_jobs() -> Response:
        job_type, status = request.args.get("type"), _status(request.args, _UNFINISHED)
        if job_type is None:
            raise malformed("say whose jobs to cancel, as in ?type=email")
        done = await queue.cancel_all(job_type, status=status)
        return Response(msgspec.json.encode(done), content_type="application/json")

    @app.get("/jobs")
    async def list_jobs() -> Response:
        status, job_type = _status(request.args), _job_type(request.args, registry)
        limit, cursor = _limit(request.args), _cursor(request.args)
        jobs = await queue.list(
            status=status,
            job_type=job_type,
            after=cursor,
            limit=limit + 1,
            newest_first=_newest_first(request.args),
        )
        page = jobs[:limit]
        headers = {}
        if len(jobs) > limit:
            query = {**request.args.to_dict(), "limit": limit, "cursor": page[-1].id}
            headers["Link"] = f'</jobs?{urlencode(query)}>; rel="next"'
        body = msgspec.json.encode(page)
        etag = tag(body, headers.get("Link", "").encode())
        return conditional_response(etag, lambda: body, "application/json", headers)

    @app.get("/jobs/<job:job_id>")
    async def get_job(job_id: str) -> Response:
        seconds = _wait(request.args)
        job = await (queue.get(job_id) if seconds is None else queue.wait(job_id, seconds))
        return conditional_response(
            _etag(job), lambda: msgspec.json.encode(job), "application/json", {}
        )

    @app.post("/jobs/<job:job_id>/cancel")
    async def cancel_job(job_id: str) -> Response:
        await _require_present_state(queue, job_id, of_ended_jobs=False)
        job = await queue.cancel(job_id)
        return Response(msgspec.json.encode(job), content_type="application/json")

    @app.post("/jobs/<job:job_id>/retry")
    async def retry_job(job_id: str) -> Response:
        key = read_idempotency_key()
        await _require_present_state(queue, job_id, of_ended_jobs=True)
        return _created(await queue.retry(job_id, idempotency_key=key))


async def _require_present_state(queue: JobQueue, job_id: str, *, of_ended_jobs: bool) -> None:
    if "If-Match" in request.headers:
        job = await queue.get(job_id)
        if (job.status in TERMINAL) == of_ended_jobs:  # else 409 it is: RFC 9110, section 13.2.1
            require_match(_etag(job))


def _etag(job: JobDetail) -> str:
    """Its state, and beside it what others keep it from.

    Payload and result, which may be large, are left out: a job's payload stays as it is, and its
    result comes together with its end.
    """
    state = structs.replace(job, waits_because=None, payload=_NOTHING, result=None)
    return tag(msgspec.json.encode(state), (job.waits_because or "").encode())


def _created(job: JobSummary) -> Response:
    response = Response(
        msgspec.json.encode(job),
        HTTPStatus.OK if job.duplicate else HTTPStatus.CREATED,
        headers={"Location": f"/jobs/{job.id}"},
        content_type="application/json",
    )
    return _replayed(response) if job.replayed else response


def _replayed(response: Response) -> Response:
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _status(query: MultiDict[str, str], known: tuple[Status, ...] = _STATUSES) -> Status | None:
    asked_for = query.get("status")
    if asked_for is None:
        return None
    for status in known:
        if status == asked_for:
            return status
    raise bad_query("status", f"one of {', '.join(known)}")


def _job_type(query: MultiDict[str, str], registry: Registry) -> str | None:
    job_type = query.get("type")
    if job_type is not None:
        registry.lookup(job_type)  # a name that is misspelt would look like a type without jobs
    return job_type


def _limit(query: MultiDict[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_PAGE))
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE:
        return int(text)
    raise bad_query("limit", f"a number from 1 to {MAX_PAGE}")


def _cursor(query: MultiDict[str, str]) -> str | None:
    text = query.get("cursor")
    if text is None:
        return None
    cursor = read_id(text)
    if cursor is None:
        raise bad_query("cursor", "the one of a Link header")
    return cursor


def _newest_first(query: MultiDict[str, str]) -> bool:
    order = query.get("order", "oldest")
    if order not in ("oldest", "newest"):
        raise bad_query("order", "oldest or newest, the end to start from")
    return order == "newest"


def _wait(query: MultiDict[str, str]) -> float | None:
    text = query.get("wait")
    if text is None:
        return None
    if _NUMBER.fullmatch(text) and float(text) <= MAX_WAIT_SECONDS:
        return float(text)
    raise bad_query("wait", f"a number of seconds from 0 to {MAX_WAIT_SECONDS}")
