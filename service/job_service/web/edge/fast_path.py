"""A fast path for the heads of usual POSTs, which are parsed without h11.

Nearly all submissions have such a head, and h11 takes as long over it as the app over the rest.
This parser knows a small part of HTTP/1.1 that has only one reading, and leaves the rest to h11.
"""

import re
from typing import Final, NamedTuple

_FIELD = rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([ -~]*)\r\n"
_HEAD = re.compile(rb"POST (/(?!/)[!-~]*) HTTP/1\.1\r\n((?:" + _FIELD + rb")+)\r\n")
_FIELDS = re.compile(_FIELD)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class UsualPost(NamedTuple):
    """The head of a POST of HTTP/1.1 that leaves its connection open."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    length: int  # of the body, in bytes


def read_usual_post(data: bytes) -> UsualPost | None:
    """The head in `data`; None if it may be anything else."""
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
    return UsualPost(head[1], headers, int(length[0]))
