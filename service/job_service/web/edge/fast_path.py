"""The one kind of head that is read without h11: of a POST in which all is as usual.

Nearly all submissions have such, and h11 takes as long over one as the app does. What is read here
is a small part of HTTP/1.1 in which nothing can be doubted; all else is left to h11.
"""

import re
from typing import Final, NamedTuple

_FIELD = rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([ -~]*)\r\n"
_HEAD = re.compile(rb"POST (/(?!/)[!-~]*) HTTP/1\.1\r\n((?:" + _FIELD + rb")+)\r\n")
_FIELDS = re.compile(_FIELD)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class PlainHead(NamedTuple):
    """Of a POST of HTTP/1.1 after which its connection stays open."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    length: int  # of the body, in bytes


def read_plain(data: bytes) -> PlainHead | None:
    """The head that `data` is; None where it may be something else."""
    head = _HEAD.fullmatch(data)
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
    return PlainHead(head[1], headers, int(length[0]))
