"""The headers that mean something in a request or in an answer, described.

Requests' own readers parse them, because each has a grammar of its own.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from job_service.telemetry.schemas import Schema
from job_service.web.error_refusals import EXAMPLE_ID


class SentHeader(NamedTuple):
    """A header of an answer."""

    description: str
    schema: Schema
    example: str | int


_STRING: Final[Schema] = {"type": "string"}

# Bare, or a string of RFC 8941; either way 1 to 255 visible characters.
_IDEMPOTENCY_KEY: Final = r'^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$'

OF_REQUESTS: Final[dict[str, tuple[str, Schema]]] = {
    "Idempotency-Key": (
        (
            "A name of the client's choice for this request: 1 to 255 visible ASCII characters, "
            "bare or as a quoted string. If the same request is sent again with the same key, it "
            "makes no new job, and its answer has the job of the first time."
        ),
        {**_STRING, "pattern": _IDEMPOTENCY_KEY},
    ),
    "If-Match": ("The `ETag` of an earlier answer: 412 if it has changed since.", _STRING),
    "If-None-Match": ("The `ETag` of an earlier answer: 304 if nothing has changed.", _STRING),
    "Last-Event-ID": (
        "The id of the last event that the client saw: the stream goes on after it.",
        _STRING,
    ),
}

OF_ANSWERS: Final[dict[str, SentHeader]] = {
    "Accept-Encoding": SentHeader(
        "The `Content-Encoding` that is taken, if the one of the request is not.",
        {"const": "identity"},
        "identity",
    ),
    "ETag": SentHeader(
        "The version of what was answered, for `If-None-Match` and `If-Match`.",
        _STRING,
        '"6b86b273ff34fce1"',
    ),
    "Idempotent-Replayed": SentHeader(
        "Present if an earlier request with the same key made the job.",
        {"const": "true"},
        "true",
    ),
    "Link": SentHeader(
        'The next page, `rel="next"`, if there is one.',
        _STRING,
        f'</jobs?limit=100&cursor={EXAMPLE_ID}>; rel="next"',
    ),
    "Location": SentHeader(
        "The path of the job.",
        {**_STRING, "format": "uri-reference"},
        f"/jobs/{EXAMPLE_ID}",
    ),
    "Retry-After": SentHeader(
        "Seconds until another try is worth it.", {"type": "integer", "minimum": 0}, 1
    ),
    "WWW-Authenticate": SentHeader(
        "The scheme to authenticate with.", _STRING, 'Bearer realm="job-service"'
    ),
}


def refer_to_headers(names: Iterable[str]) -> Schema:
    """References to these headers of answers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
