"""The routes of the documentation: `/openapi.json` and `/docs`."""

from collections.abc import Callable
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
import trio
from quart import Quart, Response

from job_service.jobs.registration.registry import Registry
from job_service.web.asgi import present_request
from job_service.web.openapi.page import ASKING_POLICY, CONTENT_SECURITY_POLICY, render_page
from job_service.web.responses import JSON, Fixed, page_headers

HTML: Final = "text/html; charset=utf-8"

_ASKING: Final = Fixed(files(__package__).joinpath("asking.html").read_bytes())


class _Documentation(NamedTuple):
    document: Fixed
    page: Fixed


class _WrittenOnce:
    """The documentation, written when a client first asks: by then the app has all its routes.

    That takes a part of a second, so a thread does it, and others are answered meanwhile.
    """

    def __init__(self, write: Callable[[], _Documentation]) -> None:
        self._write = write
        self._one_at_a_time = trio.CapacityLimiter(1)
        self._written: _Documentation | None = None

    async def get(self) -> _Documentation:
        """The documentation. A cancellation leaves the thread alone, which writes it for others."""
        if self._written is not None:
            return self._written
        return await trio.to_thread.run_sync(
            self._write_or_take, abandon_on_cancel=True, limiter=self._one_at_a_time
        )

    def _write_or_take(self) -> _Documentation:
        """In a thread: it, or what the one before has written."""
        if self._written is None:
            self._written = self._write()
        return self._written


def add_documentation(app: Quart, registry: Registry, *, needs_token: bool, root_path: str) -> None:
    """Let `app` describe itself, all its routes and the job types of `registry`."""

    def write() -> _Documentation:
        # Imported no sooner, because it delays the start, and most services are never asked.
        from job_service.web.openapi.document import build_document

        document = msgspec.json.encode(
            build_document(app, registry, needs_token=needs_token, root_path=root_path)
        )
        page = render_page(msgspec.json.decode(document))
        return _Documentation(Fixed(document), Fixed(page.encode()))

    written = _WrittenOnce(write)

    @app.get("/openapi.json")
    async def get_openapi() -> Response:
        return (await written.get()).document.response(JSON, {})

    @app.get("/docs")
    async def read_docs() -> Response:
        if present_request().token is None:
            shown, policy = _ASKING, ASKING_POLICY
        else:
            shown, policy = (await written.get()).page, CONTENT_SECURITY_POLICY
        return shown.response(HTML, {"Vary": "Authorization", **page_headers(policy)})
