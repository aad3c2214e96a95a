"""The bodies of requests on their way in, and the room that all of them have together."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Final, cast

import trio
from quart import request

from job_service.web.body import IncomingRequest
from job_service.web.problems import Problem

ROOM_BYTES: Final = 128 * 1024 * 1024
RETRY_AFTER_CROWDED_SECONDS = 1


class Uploads:
    """Reads bodies, and bounds what those hold that have begun to come and are not done with.

    A client may take its time, as the edge allows it, as long as nobody else needs the room. Where
    more comes in than `room` bytes, those give way that are still coming, the one that began first
    before the others: it has had the most time. So slow clients can't keep quick ones out.
    """

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._held = 0
        self._coming: dict[_Upload, None] = {}  # the first to begin first

    async def read(self, max_bytes: int) -> bytes:
        """The whole body of the present request, for who is done with it at once.

        How long it may take is the edge's to say. Raises Problem: 413 where it is over `max_bytes`,
        408 where its end does not come, and 429 where others need the room that it takes up.
        """
        piece, more = await _first_piece(max_bytes)
        if not more:  # nearly always: it is short
            return piece
        with self._upload() as upload:
            return await upload.read(piece, max_bytes)

    @asynccontextmanager
    async def hold(self, max_bytes: int) -> AsyncIterator[bytes]:
        """As `read`, for who needs the body longer: it counts until the end of the block."""
        piece, more = await _first_piece(max_bytes)
        with self._upload() as upload:
            yield await upload.read(piece, max_bytes) if more else piece

    @contextmanager
    def _upload(self) -> Iterator["_Upload"]:
        upload = _Upload(self)
        try:
            yield upload
        finally:
            self._held -= upload.held
            self.arrived(upload)

    def make_room(self, upload: "_Upload", count: int) -> None:
        """Let `upload` hold so many bytes more. Raises Problem, 429, where there is no room."""
        if upload.coming.cancel_called:
            raise _crowded()
        self._coming.setdefault(upload)
        while self._held + count > self._room:
            first = next(iter(self._coming))
            if first is upload:
                raise _crowded()
            self._give_way(first)
        self._held += count
        upload.held += count

    def arrived(self, upload: "_Upload") -> None:
        """All of `upload` is here: what it holds now is work to be done."""
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

    async def read(self, piece: bytes, max_bytes: int) -> bytes:
        """The whole body, which begins with this piece and has more of them."""
        incoming = cast("IncomingRequest", request)
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
        raise _crowded()


async def _first_piece(max_bytes: int) -> tuple[bytes, bool]:
    incoming = cast("IncomingRequest", request)
    if (incoming.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    piece, more = await _next_piece(incoming)
    if len(piece) > max_bytes:
        raise _too_large(max_bytes)
    return piece, more


async def _next_piece(incoming: IncomingRequest) -> tuple[bytes, bool]:
    message = await incoming.receive()
    if message["type"] != "http.request":
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come to its end")
    return message.get("body", b""), message.get("more_body", False)


def _crowded() -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too much is being uploaded at the same time; try again, and send it faster",
        kind="too-many-uploads",
        headers={"Retry-After": str(RETRY_AFTER_CROWDED_SECONDS)},
    )


def _too_large(max_bytes: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {max_bytes:,} bytes")
