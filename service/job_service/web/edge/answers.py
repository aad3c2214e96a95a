"""How an answer is written: its head, and its body within its bounds (RFC 9112, 6 and 7)."""

from http import HTTPStatus
from typing import Final

from job_service.web.edge.requests import Headers, Request
from job_service.web.problems import PROBLEM_CONTENT_TYPE, problem_json

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_CLOSE: Final = (b"connection", b"close")


class Answer:
    """The answer to one request, as bytes.

    `has_length` says that its client knows from its head when it ends, and `closes` that the
    connection ends with it. Raises ValueError for a body that is not as long as it was told.
    """

    def __init__(self, request: Request, status: int, headers: Headers, *, is_last: bool) -> None:
        told = dict(headers).get(b"content-length")
        self._has_body = request.method != "HEAD" and status not in (204, 304)
        self._owed = int(told) if told is not None and self._has_body else 0
        self.has_length = told is not None or not self._has_body
        self._is_chunked = not self.has_length and request.version >= "1.1"
        ends_by_closing = not (self.has_length or self._is_chunked)
        self.closes = is_last or ends_by_closing or not request.keeps_open or _CLOSE in headers
        if self._is_chunked:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        if self.closes and _CLOSE not in headers:
            headers = [*headers, _CLOSE]
        self.head = write_head(status, headers)

    def piece(self, data: bytes) -> bytes:
        """The next piece of the body."""
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self.has_length:
            self._owed -= len(data)
            if self._owed < 0:
                raise ValueError("the body of an answer is longer than its Content-Length")
        return data

    def end(self) -> bytes:
        """What comes after the last piece."""
        if self._owed:
            raise ValueError("the body of an answer is shorter than its Content-Length")
        return b"0\r\n\r\n" if self._is_chunked else b""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is to come, as the client knows."""
        return self.has_length and self._owed == 0


def write_head(status: int, headers: Headers) -> bytes:
    """The bytes of status line and headers. Quart has let no line break into these."""
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers), b"\r\n"]
    return b"\r\n".join(lines)


def refusal(status: HTTPStatus, detail: str, *others: tuple[bytes, bytes]) -> bytes:
    """A whole answer, a problem, with these other headers. The connection is to be closed."""
    body = problem_json(status, detail)
    headers = [
        (b"content-type", PROBLEM_CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *others,
        _CLOSE,
    ]
    return write_head(status, headers) + body
