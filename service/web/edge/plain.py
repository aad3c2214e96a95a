"""The one kind of request that is read without h11: a short POST that has come in one piece.

Nearly all submissions are such, and h11 takes as long over one as the app does. What is read here
is a small part of HTTP/1.1 in which nothing can be doubted; all else is left to h11.
"""

import re
from typing import Final, NamedTuple

from service.web.edge.tasks import SHORT_BODY_BYTES

_FIELD = rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([ -~]*)\r\n"
_HEAD = re.compile(rb"POST (/(?!/)[!-~]*) HTTP/1\.1\r\n((?:" + _FIELD + rb")+)\r\n")
_FIELDS = re.compile(_FIELD)
_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class PlainRequest(NamedTuple):
    """A POST of HTTP/1.1 after which its connection stays open."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def read_plain(data: bytes) -> PlainRequest | None:
    """The request that `data` is, from its first byte to its last; None where it may not be."""
    head = _HEAD.match(data)
    if head is None:
        return None
    body = data[head.end() :]
    headers = [(name.lower(), value.strip()) for name, value in _FIELDS.findall(head[2])]
    values = dict(headers)
    if (
        len(values) == len(headers)  # no field comes twice
        and b"host" in values
        and values.get(b"content-length") == b"%d" % len(body)
        and len(body) <= SHORT_BODY_BYTES
        and values.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        and _UNUSUAL.isdisjoint(values)
    ):
        return PlainRequest(head[1], headers, body)
    return None


def write_head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of status line and headers. Quart has let no line break into these."""
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers), b"\r\n"]
    return b"\r\n".join(lines)
