"""Answers that have no content at all."""

from collections.abc import Mapping
from http import HTTPStatus

from quart import Response


def empty_response(status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    """An answer without content, nor headers about it, as RFC 9110 has it for 204 and 304."""
    # b"" and not nothing: Quart would send nothing by way of asyncio.
    response = Response(b"", status, headers=dict(headers))
    del response.headers["Content-Type"], response.headers["Content-Length"]
    return response
