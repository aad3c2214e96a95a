"""Reads the bodies of requests, and bounds how much of them is in memory at the same time."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Final

import trio

from job_service.web.asgi import IncomingRequest
from job_service.web.problems import Problem
from job_service.web.refusals import SLOW_BODY, TOO_LARGE, TOO_MANY_UPLOADS

ROOM_BYTES: Final = 128 * 1024 * 1024

_MAX_DIGITS: Final = 20  # of a length; the edge refuses others


class Uploads:
    """Reads bodies, and bounds how many bytes of them are held at the same time.

    A client may take its time, within the limits of the edge, as long as nobody else needs the
    room. If more than `room` bytes come in, an upload that is still under way is refused: the one
    that began first, because it has had the most time. So slow clients can't keep quick ones out.
    """

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._held = 0
        self._coming: dict[_Upload, None] = {}  # the first to begin first

    async def read(self, incoming: IncomingRequest, max_bytes: int) -> bytes:
        """The whole body of the request. It counts as held until this returns.

        The edge limits how long it may take. Raises Problem: 413 if it is over `max_bytes`, 408 if
        its end does not come, and 429 if others need the room that it takes up.
        """
        piece, more = await _first_piece(incoming, max_bytes)
        if not more:  # nearly always: it is short
            return piece
        with self._upload() as upload:
            return await upload.read(incoming, piece, max_bytes)

    @asynccontextmanager
    async def hold(self, incoming: IncomingRequest, max_bytes: int) -> AsyncIterator[bytes]:
        """As `read`, but the body counts as held until the end of the block."""
        piece, more = await _first_piece(incoming, max_bytes)
        with self._upload() as upload:
            yield await upload.read(incoming, piece, max_bytes) if more else piece

    @contextmanager
    def _upload(self) -> Iterator["_Upload"]:
        upload = _Upload(self)
        try:
            yield upload
        finally:
            self._held -= upload.held
            self.arrived(upload)

    def make_room(self, upload: "_Upload", count: int) -> None:
        """Let `upload` hold this many bytes more. Raises Problem, 429, if there is no room."""
        if upload.coming.cancel_called:
            raise Problem(TOO_MANY_UPLOADS)
        self._coming.setdefault(upload)
        while self._held + count > self._room:
            first = next(iter(self._coming))
            if first is upload:
                raise Problem(TOO_MANY_UPLOADS)
            self._give_way(first)
        self._held += count
        upload.held += count

    def arrived(self, upload: "_Upload") -> None:
        """All of `upload` is here, so it need not make room for others any more."""
        self._coming.pop(upload, None)

    def _give_way(self, upload: "_Upload") -> None:
        del self._coming[upload]
        self._held -= upload.held
        upload.held = 0
        upload.coming.cancel()


class _Upload:
    """One body; `held` is how many bytes of it count."""

    __slots__ = ("_uploads", "coming", "held")

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self.held = 0
        self.coming = trio.CancelScope()

    async def read(self, incoming: IncomingRequest, piece: bytes, max_bytes: int) -> bytes:
        """The whole body, of which this piece is the first of several."""
        whole = BytesIO()  # gives its bytes away in the end without another copy
        more = True
        with self.coming:
            while True:
                if whole.tell() + len(piece) > max_bytes:
                    raise _too_large(max_bytes)
                self._uploads.make_room(self, len(piece))
                whole.write(piece)
                if not more:
                    self._uploads.arrived(self)
                    return whole.getvalue()
                piece, more = await _next_piece(incoming)
        raise Problem(TOO_MANY_UPLOADS)


async def _first_piece(incoming: IncomingRequest, max_bytes: int) -> tuple[bytes, bool]:
    length = incoming.fields.get(b"content-length", b"")
    if len(length) < _MAX_DIGITS and length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    piece, more = await _next_piece(incoming)
    if len(piece) > max_bytes:
        raise _too_large(max_bytes)
    return piece, more


async def _next_piece(incoming: IncomingRequest) -> tuple[bytes, bool]:
    message = await incoming.receive()
    if message["type"] != "http.request":
        raise Problem(SLOW_BODY)
    return message.get("body", b""), message.get("more_body", False)


def _too_large(max_bytes: int) -> Problem:
    return Problem(TOO_LARGE, f"the body is over {max_bytes:,} bytes")
