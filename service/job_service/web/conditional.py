"""Conditional requests, RFC 9110, section 13: what a client has already need not be sent again."""

from hashlib import blake2b
from http import HTTPStatus

from quart import Response, request

from job_service.web.empty import empty_response
from job_service.web.problems import Problem


def json_response(body: bytes, link: str | None = None, state: bytes | None = None) -> Response:
    """200 with `body` and its ETag, or 304 where If-None-Match says that the client has it.

    A `link` belongs to what the ETag stands for. Where `body` tells more than the `state` of the
    thing itself, such as what it waits for now, the ETag begins with that of the state alone.
    """
    tag = _tag(body + link.encode() if link else body)
    if state is not None and state != body:
        tag = f"{_tag(state)}-{tag}"
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if link:
        headers["Link"] = link
    if request.if_none_match.contains_weak(tag):
        return empty_response(HTTPStatus.NOT_MODIFIED, headers)
    return Response(body, headers=headers, content_type="application/json")


def require_match(state: bytes) -> None:
    """Raise Problem, 412, where If-Match is sent and names no ETag of this `state`."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return
    if _tag(state) not in {tag.partition("-")[0] for tag in request.if_match.as_set() if tag}:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            "it has changed since: its ETag is none of those in If-Match",
        )


def _tag(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()
