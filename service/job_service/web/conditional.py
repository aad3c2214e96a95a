"""Conditional requests, RFC 9110, section 13: what a client has already need not be sent again.

Nothing here has a date of its last change, so that conditions on dates count as absent (sections
13.1.3 and 13.1.4), and an answer is always whole (section 14.2 lets a server ignore Range).
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from http import HTTPStatus

from quart import Response, request

from job_service.web.empty import empty_response
from job_service.web.problems import Problem

_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')  # RFC 9110, section 8.8.3


def conditional_response(
    etag: str, body: Callable[[], bytes], content_type: str, headers: Mapping[str, str]
) -> Response:
    """200 with `body`, which this ETag stands for, or 304 where If-None-Match has that.

    The body is asked for only where it is sent. Raises Problem, 412, as `require_match` does.
    """
    require_match(etag)
    headers = {"ETag": f'"{etag}"', "Cache-Control": "no-cache", **headers}
    known = ",".join(request.headers.getlist("If-None-Match"))
    if known and (known.strip() == "*" or etag in {tag for _, tag in _TAG.findall(known)}):
        return empty_response(HTTPStatus.NOT_MODIFIED, headers)
    return Response(body(), headers=headers, content_type=content_type)


def require_match(etag: str) -> None:
    """Raise Problem, 412, where If-Match is sent and names no ETag of this state.

    What an ETag has behind a hyphen is beside the state: see `tag`.
    """
    if "If-Match" not in request.headers:
        return
    wanted = ",".join(request.headers.getlist("If-Match"))
    if wanted.strip() == "*":
        return
    states = {tag.partition("-")[0] for weak, tag in _TAG.findall(wanted) if not weak}
    if etag.partition("-")[0] not in states:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            "it has changed since: its ETag is none of those in If-Match",
        )


def tag(state: bytes, beside: bytes = b"") -> str:
    """An ETag for this state, and for what is told beside it, such as what a job waits for now."""
    etag = blake2b(state, digest_size=16).hexdigest()
    return f"{etag}-{blake2b(beside, digest_size=16).hexdigest()}" if beside else etag
