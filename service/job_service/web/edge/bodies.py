"""Takes the body of a request from the bytes after its head (RFC 9112, sections 6 and 7).

h11 could do it, too, but reads a whole trailer, or a chunk's extensions, before it counts them.
"""

import re
from http import HTTPStatus

from job_service.web.edge.heads import MAX_FIELDS, MAX_HEAD_BYTES, Refused, too_many_fields

MAX_CHUNK_LINE_BYTES = 256  # of the line before a chunk, whose extensions nobody uses
MAX_FRAMING_BYTES = 8 * 1024  # of all these lines, and in addition
MAX_FRAMING_SHARE = 2  # times as much as the data; chunks of three bytes need less
PARTS_AT_A_TIME = 500  # about a millisecond's work

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*")


class SizedBody:
    """A body whose length is in the head."""

    def __init__(self, length: int) -> None:
        self.missing = length  # in bytes

    @property
    def is_complete(self) -> bool:
        """Whether all of it has been taken."""
        return self.missing == 0

    def take(self, unread: bytearray) -> bytes:
        """As much of it as has come, taken from `unread`."""
        piece = bytes(unread[: self.missing])
        del unread[: self.missing]
        self.missing -= len(piece)
        return piece


class ChunkedBody:
    """A body in chunks, each after a line with its length. Extensions and trailer are dropped.

    Each chunk costs as much time as many bytes of data. So a body of tiny chunks is refused, and
    only PARTS_AT_A_TIME are taken at a time.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._data_bytes = 0
        self._framing_bytes = 0
        self._missing = 0  # of the present chunk
        self._in_chunk = False
        self._in_trailer = False
        self._trailer_fields = 0
        self._trailer_bytes = 0

    def take(self, unread: bytearray) -> bytes:
        """The next piece of it that has come, taken from `unread`. Raises Refused.

        If `unread` has become shorter, there may be more.
        """
        body = bytearray()
        for _ in range(PARTS_AT_A_TIME):
            if self.is_complete or not self._take_part(unread, body):
                break
        return bytes(body)

    def _take_part(self, unread: bytearray, body: bytearray) -> bool:
        """Take the next part; whether enough has come for that."""
        if self._in_trailer:
            return self._take_trailer_line(unread)
        if not self._in_chunk:
            return self._take_chunk_line(unread)
        if self._missing:
            piece = unread[: self._missing]
            del unread[: self._missing]
            self._missing -= len(piece)
            body += piece
            return bool(piece)
        return self._take_end_of_chunk(unread)

    def _take_chunk_line(self, unread: bytearray) -> bool:
        line = _take_line(unread, MAX_CHUNK_LINE_BYTES)
        if line is None:
            if len(unread) > MAX_CHUNK_LINE_BYTES:
                raise _malformed()
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise _malformed()
        self._missing = int(match[1], 16)
        self._in_chunk = self._missing > 0
        self._in_trailer = self._missing == 0
        self._framing_bytes += len(line) + 4
        if self._framing_bytes > MAX_FRAMING_BYTES + MAX_FRAMING_SHARE * self._data_bytes:
            raise Refused(HTTPStatus.BAD_REQUEST, "the chunks of the body are far too small")
        self._data_bytes += self._missing
        return True

    def _take_end_of_chunk(self, unread: bytearray) -> bool:
        end = unread[:2]
        if not b"\r\n".startswith(end):
            raise _malformed()
        if len(end) < 2:
            return False
        del unread[:2]
        self._in_chunk = False
        return True

    def _take_trailer_line(self, unread: bytearray) -> bool:
        line = _take_line(unread, MAX_HEAD_BYTES - self._trailer_bytes)
        if line is None:
            if len(unread) > MAX_HEAD_BYTES - self._trailer_bytes:
                raise too_many_fields()
            return False
        if not line:
            self.is_complete = True
            return True
        self._trailer_fields += 1
        self._trailer_bytes += len(line) + 2
        if self._trailer_fields > MAX_FIELDS:
            raise too_many_fields()
        if _TRAILER_LINE.fullmatch(line) is None:
            raise _malformed()
        return True


Body = SizedBody | ChunkedBody


def _take_line(unread: bytearray, max_bytes: int) -> bytes | None:
    """The next line, if it ends within this many bytes."""
    end = unread.find(b"\r\n", 0, max_bytes)
    if end < 0:
        return None
    line = bytes(unread[:end])
    del unread[: end + 2]
    return line


def _malformed() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "the chunks of the body are malformed")
