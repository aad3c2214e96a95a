"""Answers that stay the same while the service runs: who has one need not load it again."""

from hashlib import sha256

from quart import Response, request


class Written:
    """The body of such an answer, and the tag by which it is known."""

    __slots__ = ("body", "etag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.etag = sha256(body).hexdigest()[:32]


async def answer(
    written: Written, content_type: str, headers: dict[str, str] | None = None
) -> Response:
    """200 with the body, or 304 where the present request says that the client has it."""
    response = Response(
        written.body,
        headers={"Cache-Control": "no-cache", **(headers or {})},
        content_type=content_type,
    )
    response.set_etag(written.etag)
    return await response.make_conditional(request)


def page_headers(content_security_policy: str) -> dict[str, str]:
    """What a browser is told of a page of ours: what it may do, and not to guess nor to tell."""
    return {
        "Content-Security-Policy": content_security_policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
