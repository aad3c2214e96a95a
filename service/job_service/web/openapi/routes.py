"""The routes of the documentation: `/openapi.json` and `/docs`."""

from functools import cache

import msgspec
from quart import Quart, Response

from job_service.jobs.registration.registry import Registry
from job_service.web.openapi.page import CONTENT_SECURITY_POLICY, render_page
from job_service.web.written import Written, answer, page_headers


def add_documentation(app: Quart, registry: Registry, *, needs_token: bool) -> None:
    """Let `app` describe itself, all its routes and the job types of `registry`."""

    # Written when they are first asked for: by then the app has all its routes.
    @cache
    def document() -> Written:
        # Imported no sooner, since most services are never asked, and it delays their start.
        from job_service.web.openapi.document import build_document

        return Written(msgspec.json.encode(build_document(app, registry, needs_token=needs_token)))

    @cache
    def page() -> Written:
        return Written(render_page(msgspec.json.decode(document().body)).encode())

    @app.get("/openapi.json")
    async def get_openapi() -> Response:
        return answer(document(), "application/json", {})

    @app.get("/docs")
    async def read_docs() -> Response:
        return answer(page(), "text/html; charset=utf-8", page_headers(CONTENT_SECURITY_POLICY))
