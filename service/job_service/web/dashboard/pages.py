"""The routes of the dashboard: its page at `/`, and the files that the page loads, from memory."""

from importlib.resources import files
from pathlib import PurePath
from typing import Final

from quart import Quart, Response

from job_service.web.problems import Problem
from job_service.web.queries import AnyQuery, takes
from job_service.web.refusals import NO_SUCH_FILE
from job_service.web.responses import Fixed, page_headers

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_STATIC: Final = files(__package__).joinpath("static")
_PAGE: Final = Fixed(_STATIC.joinpath("index.html").read_bytes())
FILES: Final = {
    file.name: Fixed(file.read_bytes())
    for file in _STATIC.iterdir()
    if PurePath(file.name).suffix in CONTENT_TYPES
}


def add_dashboard(app: Quart) -> None:
    """`/` and `/dashboard/`. They need no token, because the page fetches all data with one."""
    headers = page_headers(CONTENT_SECURITY_POLICY)

    @app.get("/")
    @takes(AnyQuery)  # people paste links, and other programs add to these
    async def open_dashboard(_: AnyQuery) -> Response:
        return _PAGE.response("text/html; charset=utf-8", headers)

    @app.get("/dashboard/<name>")
    async def get_dashboard_file(name: str) -> Response:
        file = FILES.get(name)
        if file is None:
            raise Problem(NO_SUCH_FILE)
        return file.response(CONTENT_TYPES[PurePath(name).suffix], headers)
