"""The routes of the documentation: `/openapi.json` and `/docs`."""

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from quart import Quart, Response

from job_service.jobs.registration.registry import Registry
from job_service.web.asgi import present_request
from job_service.web.openapi.page import ASKING_POLICY, CONTENT_SECURITY_POLICY, render_page
from job_service.web.responses import JSON, Fixed, page_headers

HTML: Final = "text/html; charset=utf-8"

_ASKING: Final = Fixed(files(__package__).joinpath("asking.html").read_bytes())


def add_documentation(app: Quart, registry: Registry, *, needs_token: bool, root_path: str) -> None:
    """Let `app` describe itself, all its routes and the job types of `registry`."""

    # Written when a client first asks for them: by then the app has all its routes.
    @cache
    def document() -> Fixed:
        # Imported no sooner, because it delays the start, and most services are never asked.
        from job_service.web.openapi.document import build_document

        return Fixed(
            msgspec.json.encode(
                build_document(app, registry, needs_token=needs_token, root_path=root_path)
            )
        )

    @cache
    def page() -> Fixed:
        return Fixed(render_page(msgspec.json.decode(document().body)).encode())

    @app.get("/openapi.json")
    async def get_openapi() -> Response:
        return document().response(JSON, {})

    @app.get("/docs")
    async def read_docs() -> Response:
        if present_request().token is None:
            shown, policy = _ASKING, ASKING_POLICY
        else:
            shown, policy = page(), CONTENT_SECURITY_POLICY
        return shown.response(HTML, {"Vary": "Authorization", **page_headers(policy)})
