"""Finds the head of the next request, and measures it before it is parsed.

Parsing a head costs time for each field and byte, so a head over the limits is refused unparsed.
The limits hold however it comes: in one piece, byte by byte, or right after another request.
"""

import re
from http import HTTPStatus

import trio

MAX_UNREAD_BYTES = 64 * 1024  # more than a head and a short body
MAX_FIELDS = 100
MAX_HEAD_BYTES = 16 * 1024
MAX_REQUEST_LINE_BYTES = 8 * 1024
NO_REQUEST = "this is no HTTP/1.1 request that can be answered"

_BLANK_LINE = re.compile(rb"\n\r?\n")
_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")


class Refused(Exception):
    """The request can only be answered with this status, and its connection must end."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Unread:
    """What the client has sent, and nothing has taken yet."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.has_ended = False  # the client sends no more
        self.arrived = trio.lowlevel.ParkingLot()  # whoever waits for more of it is here
        self._searched = 0  # up to here, no head ends

    @property
    def room(self) -> int:
        """How many more bytes the client may send for now."""
        return max(0, MAX_UNREAD_BYTES - len(self.data))

    def add(self, data: bytes) -> None:
        """What the client has sent; nothing if it sends no more."""
        self.data += data
        self.has_ended = not data
        if self.arrived:
            self.arrived.unpark_all()

    def skip_empty_lines(self) -> None:
        """Drop the empty lines before a request, as RFC 9112, section 2.2, asks."""
        if self.data.startswith((b"\r", b"\n")) and (lines := _EMPTY_LINES.match(self.data)):
            del self.data[: lines.end()]
            self._searched = 0

    def take_head(self) -> bytes | None:
        """The next head, with the empty line that ends it; None if its end has yet to come.

        Raises Refused as soon as it is certainly over a limit.
        """
        if self.data and self.data[0] <= 0x20 and self.data != b"\r":
            raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)  # such as a handshake of TLS
        end = _BLANK_LINE.search(self.data, self._searched)
        size = end.end() if end else len(self.data)
        self._check(size)
        if end is None:
            self._searched = max(0, size - 2)
            return None
        head = bytes(self.data[:size])
        del self.data[:size]
        self._searched = 0
        return head

    def _check(self, size: int) -> None:
        line_end = self.data.find(b"\n", 0, MAX_REQUEST_LINE_BYTES)
        if line_end < 0 and size >= MAX_REQUEST_LINE_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"the request's first line is over {MAX_REQUEST_LINE_BYTES:,} bytes",
            )
        fields = self.data.count(b"\n", 0, size) - 1  # and the empty line, if it has come
        if size > MAX_HEAD_BYTES or fields > MAX_FIELDS + 1:
            raise too_many_fields()


def asks_for_head_only(data: bytes | bytearray) -> bool:
    """Whether the request that begins so is a HEAD: no answer to it has a body, not even a refusal.

    That is RFC 9110, section 9.3.2. There may be no more of the request than its method.
    """
    return data[:5].strip() == b"HEAD"


def too_many_fields() -> Refused:
    """The refusal of a head, or of the trailer of a body, that is over a limit."""
    return Refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"there are over {MAX_FIELDS} header fields, or over {MAX_HEAD_BYTES:,} bytes of them",
    )
