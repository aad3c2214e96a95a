"""The one kind of request that is read without h11: a short POST, in which all is as usual.

Nearly all submissions are such, and h11 takes as long over one as the app does. What is read here
is a small part of HTTP/1.1 in which nothing can be doubted; all else is left to h11.
"""

import re
from typing import Final, NamedTuple

from job_service.web.edge.tasks import SHORT_BODY_BYTES

_FIELD = rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([ -~]*)\r\n"
_HEAD = re.compile(rb"POST (/(?!/)[!-~]*) HTTP/1\.1\r\n((?:" + _FIELD + rb")+)\r\n")
_FIELDS = re.compile(_FIELD)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class PlainRequest(NamedTuple):
    """A POST of HTTP/1.1 after which its connection stays open."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    missing: int  # bytes of the body that have not come yet


def read_plain(data: bytes) -> PlainRequest | None:
    """The request that `data` is, but for what may be missing of its body.

    None where it may be something else, or goes on after its end.
    """
    head = _HEAD.match(data)
    if head is None:
        return None
    headers = [(name.lower(), value.strip()) for name, value in _FIELDS.findall(head[2])]
    values = dict(headers)
    length = _LENGTH.fullmatch(values.get(b"content-length", b""))
    if (
        length is None
        or len(values) < len(headers)  # a field that comes twice
        or b"host" not in values
        or values.get(b"connection", b"keep-alive").lower() != b"keep-alive"
        or not _UNUSUAL.isdisjoint(values)
    ):
        return None
    body = data[head.end() :]
    missing = int(length[0]) - len(body)
    if missing < 0 or len(body) + missing > SHORT_BODY_BYTES:
        return None
    return PlainRequest(head[1], headers, body, missing)


def write_head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of status line and headers. Quart has let no line break into these."""
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers), b"\r\n"]
    return b"\r\n".join(lines)
