"""The answers of routes: JSON, nothing at all, and what a client need not load again.

Conditional requests are those of RFC 9110, section 13. No resource here has a date of its last
change, so conditions on dates count as absent (sections 13.1.3 and 13.1.4). An answer is always
whole, because section 14.2 lets a server ignore Range.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from http import HTTPStatus
from typing import Final

import msgspec
from quart import Response, request

from job_service.web.problems import Problem
from job_service.web.refusals import CHANGED

JSON: Final = "application/json"

_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')  # RFC 9110, section 8.8.3


def json_response(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """This as JSON."""
    return Response(msgspec.json.encode(value), status, content_type=JSON)


def fresh_json(value: object) -> Response:
    """200 with this as JSON, which is true only now, so that nobody may keep it."""
    return Response(
        msgspec.json.encode(value), headers={"Cache-Control": "no-store"}, content_type=JSON
    )


def empty_response(status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    """An answer with neither content nor headers about it, as RFC 9110 wants it for 204 and 304."""
    # b"" instead of nothing, which Quart would send with asyncio.
    response = Response(b"", status, headers=dict(headers))
    del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def conditional_response(
    etag: str, body: Callable[[], bytes], content_type: str, headers: Mapping[str, str]
) -> Response:
    """200 with `body`, whose tag is `etag`, or 304 if the client has it according to If-None-Match.

    `body` is called only for a 200. Raises Problem, 412, as `require_match` does.
    """
    require_match(etag)
    headers = {"ETag": f'"{etag}"', "Cache-Control": "no-cache", **headers}
    known = ",".join(request.headers.getlist("If-None-Match"))
    if known and (known.strip() == "*" or etag in {tag for _, tag in _TAG.findall(known)}):
        return empty_response(HTTPStatus.NOT_MODIFIED, headers)
    return Response(body(), headers=headers, content_type=content_type)


def require_match(etag: str) -> None:
    """Raise Problem, 412, if the request has If-Match, and that has no tag of this state.

    The part of a tag after its hyphen does not count: see `tag_of`.
    """
    states = states_to_match()
    if states is not None and etag.partition("-")[0] not in states:
        raise Problem(CHANGED)


def states_to_match() -> Sequence[str] | None:
    """The states whose tags the request has in If-Match; None if any will do."""
    if "If-Match" not in request.headers:
        return None
    wanted = ",".join(request.headers.getlist("If-Match"))
    if wanted.strip() == "*":
        return None
    return [tag.partition("-")[0] for weak, tag in _TAG.findall(wanted) if not weak]


def tag_of(state: bytes, circumstances: bytes = b"") -> str:
    """A tag for this state and, after a hyphen, for circumstances that the answer has, too.

    An example is why a job waits: it changes the answer, but not the job.
    """
    tag = blake2b(state, digest_size=16).hexdigest()
    if not circumstances:
        return tag
    return f"{tag}-{blake2b(circumstances, digest_size=16).hexdigest()}"


class Fixed:
    """A body that stays the same while the service runs, with its tag."""

    __slots__ = ("body", "tag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.tag = tag_of(body)

    def response(self, content_type: str, headers: Mapping[str, str]) -> Response:
        """200 with the body, or 304 if the client has it. Raises Problem, 412."""
        return conditional_response(self.tag, lambda: self.body, content_type, headers)


def page_headers(content_security_policy: str) -> dict[str, str]:
    """Forbid a browser what a page of ours does not need: guessed types and a Referer, too."""
    return {
        "Content-Security-Policy": content_security_policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
