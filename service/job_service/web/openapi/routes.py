"""The routes of the documentation: `/openapi.json` and `/docs`."""

from functools import cache

import msgspec
from quart import Quart, Response

from job_service.jobs.registration.registry import Registry
from job_service.web.openapi.page import CONTENT_SECURITY_POLICY, render_page
from job_service.web.responses import JSON, Fixed, page_headers


def add_documentation(app: Quart, registry: Registry, *, needs_token: bool) -> None:
    """Let `app` describe itself, all its routes and the job types of `registry`."""

    # Written when a client first asks for them: by then the app has all its routes.
    @cache
    def document() -> Fixed:
        # Imported no sooner, because it delays the start, and most services are never asked.
        from job_service.web.openapi.document import build_document

        return Fixed(msgspec.json.encode(build_document(app, registry, needs_token=needs_token)))

    @cache
    def page() -> Fixed:
        return Fixed(render_page(msgspec.json.decode(document().body)).encode())

    @app.get("/openapi.json")
    async def get_openapi() -> Response:
        return document().response(JSON, {})

    @app.get("/docs")
    async def read_docs() -> Response:
        return page().response("text/html; charset=utf-8", page_headers(CONTENT_SECURITY_POLICY))
