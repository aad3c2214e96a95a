"""The routes of groups: decode the request, call the queue, encode its answer."""

from http import HTTPStatus

import msgspec
from quart import Quart, Response

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.group import GroupView
from job_service.web.asgi import present_request
from job_service.web.job_answers import replayed
from job_service.web.job_routes import WaitQuery
from job_service.web.queries import takes
from job_service.web.responses import JSON, conditional_response, json_response, tag_of
from job_service.web.submissions import Batches, read_idempotency_key


def add_group_routes(app: Quart, queue: JobQueue, batches: Batches) -> None:
    """`/groups` and what is below it, on `queue`."""
    groups = queue.groups

    @app.post("/groups")
    async def submit_group() -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        drafts = await batches.read_group(incoming)
        group = await groups.submit(
            drafts.jobs,
            on_complete=drafts.on_complete,
            on_failure=drafts.on_failure,
            idempotency_key=key,
            by=incoming.caller.name,
        )
        return _created(group)

    @app.get("/groups/<group_id>")
    @takes(WaitQuery)
    async def get_group(query: WaitQuery, group_id: str) -> Response:
        if query.wait is None:
            group = await groups.get(group_id)
        else:
            group = await groups.wait(group_id, query.wait)
        body = msgspec.json.encode(group)
        return conditional_response(tag_of(body, b""), lambda: body, JSON, {})

    @app.post("/groups/<group_id>/cancel")
    async def cancel_group(group_id: str) -> Response:
        done = await groups.cancel(group_id, by=present_request().caller.name)
        return json_response(done)

    @app.post("/groups/<group_id>/retry")
    async def retry_group(group_id: str) -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        return _created(await groups.retry(group_id, idempotency_key=key, by=incoming.caller.name))


def _created(group: GroupView) -> Response:
    response = Response(
        msgspec.json.encode(group),
        HTTPStatus.CREATED,
        headers={"Location": f"/groups/{group.id}"},
        content_type=JSON,
    )
    return replayed(response) if group.replayed else response
