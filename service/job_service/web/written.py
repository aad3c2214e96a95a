"""Answers that stay the same while the service runs: who has one need not load it again."""

from collections.abc import Mapping

from quart import Response

from job_service.web.conditional import conditional_response, tag


class Written:
    """The body of such an answer, and the tag by which it is known."""

    __slots__ = ("body", "etag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.etag = tag(body)


def answer(written: Written, content_type: str, headers: Mapping[str, str]) -> Response:
    """200 with the body, or 304 where the present request says that the client has it.

    Raises Problem, 412, where it wants another.
    """
    return conditional_response(written.etag, lambda: written.body, content_type, headers)


def page_headers(content_security_policy: str) -> dict[str, str]:
    """What a browser is told of a page of ours: what it may do, and not to guess nor to tell."""
    return {
        "Content-Security-Policy": content_security_policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
