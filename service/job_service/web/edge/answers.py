"""How an answer is written: its head, and its body as long as the head says (RFC 9112, 6 and 7)."""

import time
from http import HTTPStatus
from typing import Final

from hypercorn.config import Config

from job_service.web.edge.requests import Headers, Request
from job_service.web.problems import PROBLEM_CONTENT_TYPE, problem_json

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_CLOSE: Final = (b"connection", b"close")


class CommonHeaders:
    """The headers that each answer has besides its own, such as Date."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._second = -1
        self._headers: Headers = []

    def now(self) -> Headers:
        """Those of an answer that is made now. They change once a second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._headers = self._config.response_headers("h11")
        return self._headers


class Answer:
    """The answer to one request, as bytes.

    `has_length`: the client knows from the head when it ends. `closes`: the connection ends with
    it. Raises ValueError if the body is not as long as its Content-Length.
    """

    def __init__(self, request: Request, status: int, headers: Headers, *, is_last: bool) -> None:
        length = dict(headers).get(b"content-length")
        self._has_body = request.method != "HEAD" and status not in (204, 304)
        self._owed = int(length) if length is not None and self._has_body else 0
        self.has_length = length is not None or not self._has_body
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
        """Whether the client knows that nothing is to come."""
        return self.has_length and self._owed == 0


def write_head(status: int, headers: Headers) -> bytes:
    """The bytes of the status line and headers. Quart has refused line breaks in these."""
    lines = [b"HTTP/1.1 %d " % status, *(b"%s: %s" % header for header in headers), b"\r\n"]
    return b"\r\n".join(lines)


def refusal(
    status: HTTPStatus, detail: str, *others: tuple[bytes, bytes], with_body: bool
) -> bytes:
    """A whole answer, a problem, with these other headers. It closes the connection.

    Without its body, as a HEAD wants it, it still tells the length.
    """
    body = problem_json(status, detail)
    headers = [
        (b"content-type", PROBLEM_CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *others,
        _CLOSE,
    ]
    return write_head(status, headers) + (body if with_body else b"")
