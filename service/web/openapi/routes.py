"""The routes of the documentation: `/openapi.json` and `/docs`."""

from functools import cache
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
from quart import Quart, Response, request

from service.jobs.registry import Registry
from service.web.openapi.page import CONTENT_SECURITY_POLICY, render_page

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Written(NamedTuple):
    """Something that stays as it is for as long as the service runs."""

    body: bytes
    etag: str


def add_documentation(app: Quart, registry: Registry, *, needs_token: bool) -> None:
    """Let `app` describe itself, all its routes and the job types of `registry`."""

    # Written when they are first asked for: by then the app has all its routes.
    @cache
    def document() -> _Written:
        # Imported no sooner, since most services are never asked, and it delays their start.
        from service.web.openapi.document import build_document

        return _write(msgspec.json.encode(build_document(app, registry, needs_token=needs_token)))

    @cache
    def page() -> _Written:
        return _write(render_page(msgspec.json.decode(document().body)).encode())

    @app.get("/openapi.json")
    async def get_openapi() -> Response:
        return await _answer(document(), "application/json", {})

    @app.get("/docs")
    async def read_docs() -> Response:
        return await _answer(page(), "text/html; charset=utf-8", _PAGE_HEADERS)


def _write(body: bytes) -> _Written:
    return _Written(body, sha256(body).hexdigest()[:32])


async def _answer(written: _Written, content_type: str, headers: dict[str, str]) -> Response:
    response = Response(
        written.body,
        headers={"Cache-Control": "no-cache", **headers},
        content_type=content_type,
    )
    response.set_etag(written.etag)
    return await response.make_conditional(request)
