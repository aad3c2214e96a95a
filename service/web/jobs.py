"""The routes of jobs: decode the request, call the queue, encode its answer."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, get_args
from urllib.parse import urlencode

import msgspec
from quart import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from service.jobs.model import Status
from service.jobs.queue import MAX_RETRIES_LIMIT, JobQueue
from service.jobs.snapshots import JobSummary
from service.web.body import read_body
from service.web.problems import Problem

MAX_BODY_BYTES = 1024 * 1024
DEFAULT_PAGE = 100
MAX_PAGE = 1_000

_STATUSES: tuple[Status, ...] = get_args(Status)


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /jobs`; an absent payload is null."""

    type: str
    payload: msgspec.Raw = msgspec.Raw(b"null")
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES_LIMIT)] | None = None


def job_routes(queue: JobQueue) -> Blueprint:
    """`/jobs` and what is below it, on `queue`."""
    routes = Blueprint("jobs", __name__)
    decode_submission = msgspec.json.Decoder(Submission).decode

    @routes.post("/jobs")
    async def submit_job() -> Response:
        submission = _decode(decode_submission, await _read_json())
        job = await queue.submit(
            submission.type, submission.payload, max_retries=submission.max_retries
        )
        return _created(job)

    @routes.get("/jobs")
    async def list_jobs() -> Response:
        status, job_type = _status(request.args), request.args.get("type")
        limit, cursor = _limit(request.args), _cursor(request.args)
        jobs = await queue.list(status=status, job_type=job_type, after=cursor, limit=limit + 1)
        page = jobs[:limit]
        response = Response(msgspec.json.encode(page), content_type="application/json")
        if len(jobs) > limit:
            query = {**request.args.to_dict(), "limit": limit, "cursor": page[-1].id}
            response.headers["Link"] = f'</jobs?{urlencode(query)}>; rel="next"'
        return response

    @routes.get("/jobs/<job_id>")
    async def get_job(job_id: str) -> Response:
        job = await queue.get(job_id)
        return Response(msgspec.json.encode(job), content_type="application/json")

    @routes.post("/jobs/<job_id>/cancel")
    async def cancel_job(job_id: str) -> Response:
        job = await queue.cancel(job_id)
        return Response(msgspec.json.encode(job), content_type="application/json")

    @routes.post("/jobs/<job_id>/retry")
    async def retry_job(job_id: str) -> Response:
        return _created(await queue.retry(job_id))

    return routes


def _created(job: JobSummary) -> Response:
    return Response(
        msgspec.json.encode(job),
        HTTPStatus.CREATED,
        headers={"Location": f"/jobs/{job.id}"},
        content_type="application/json",
    )


async def _read_json() -> bytes:
    if request.mimetype != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the job as JSON, with the header Content-Type: application/json",
        )
    return await read_body(MAX_BODY_BYTES)


def _decode(decode: Callable[[bytes], Submission], body: bytes) -> Submission:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"not a job: {error}", kind="malformed") from error
    except RecursionError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "not a job: it is nested too deeply", kind="malformed"
        ) from error


def _status(query: MultiDict[str, str]) -> Status | None:
    asked_for = query.get("status")
    if asked_for is None:
        return None
    for status in _STATUSES:
        if status == asked_for:
            return status
    raise _bad_query("status", f"one of {', '.join(_STATUSES)}")


def _limit(query: MultiDict[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_PAGE))
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE:
        return int(text)
    raise _bad_query("limit", f"a number from 1 to {MAX_PAGE}")


def _cursor(query: MultiDict[str, str]) -> str | None:
    cursor = query.get("cursor")
    if cursor is None:
        return None
    try:
        return str(uuid.UUID(cursor))
    except ValueError:
        raise _bad_query("cursor", "the one of a Link header") from None


def _bad_query(parameter: str, wanted: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, f"{parameter} must be {wanted}", kind="malformed")
