"""The body of one request, which stays unread until the app asks for it."""

from http import HTTPStatus

import trio
from hypercorn.typing import ASGIReceiveEvent

from job_service.web.edge.answers import CONTINUE
from job_service.web.edge.bodies import Body, SizedBody
from job_service.web.edge.heads import MAX_UNREAD_BYTES, NO_REQUEST, Refused, Unread
from job_service.web.edge.transport import Transport


class IncomingBody:
    """Hands over what has come of a body, and lets the client send more as it is taken.

    `is_over` once all of it is taken, or nobody wants it any more. If the client `awaits_continue`,
    it is asked for its body when the app is, so that what the app refuses is never sent.
    """

    def __init__(
        self, body: Body, unread: Unread, transport: Transport, *, awaits_continue: bool
    ) -> None:
        self.is_over = False
        self.awaits_continue = awaits_continue
        self.is_awaited = False  # the client is to send more of it now
        self._body = body
        self._unread = unread
        self._transport = transport

    async def receive(self) -> ASGIReceiveEvent:
        """The next of it, as ASGI has it. Waits for ever once it is over. Raises Refused."""
        while not self.is_over:
            body, unread = self._body, len(self._unread.data)
            piece = body.take(self._unread.data)
            has_taken = len(self._unread.data) < unread
            if self._unread.has_ended and not (has_taken or body.is_complete):
                raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
            if body.is_complete:
                self.is_over = True
                self.await_no_more()
            else:
                self._await_more()
            if unread >= MAX_UNREAD_BYTES:
                self._transport.go_on()
            if has_taken and self._unread.data and not body.is_complete:
                await trio.lowlevel.checkpoint()  # others have their turn, too
            if piece or body.is_complete:
                return {"type": "http.request", "body": piece, "more_body": not body.is_complete}
            if not has_taken:
                if self.awaits_continue:
                    self.awaits_continue = False
                    await self._transport.send(CONTINUE, b"", is_last=True)
                    continue  # some may have come meanwhile: over TLS that send lets others run
                await self._unread.arrived.park()
        await trio.sleep_forever()  # this task ends with its connection
        raise AssertionError("never comes here")

    def is_here(self) -> bool:
        """Whether the rest of it has come. Raises Refused if it never will.

        If not, the client is to send more, within a deadline.
        """
        if not self.is_missing:
            return True
        if self._unread.has_ended:
            raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
        self._await_more()
        return False

    @property
    def is_missing(self) -> bool:
        """Whether some of it may have yet to come. Of chunks, nobody knows before they are read."""
        if self.is_over:
            return False
        if isinstance(self._body, SizedBody):
            return self._body.missing > len(self._unread.data)
        return True

    def drop(self) -> bool:
        """Pass over what the app has not read of it; whether all of that was here."""
        if self.is_over:
            return True
        self.is_over = True
        try:
            self._body.take(self._unread.data)
        except Refused:
            return False
        return self._body.is_complete

    def await_no_more(self) -> None:
        """The client owes nothing of it."""
        if self.is_awaited:
            self.is_awaited = False
            self._transport.expect_body(False)

    def _await_more(self) -> None:
        self.is_awaited = True
        self._transport.expect_body(True)
