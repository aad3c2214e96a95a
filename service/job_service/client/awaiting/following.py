"""Follows the event stream, over as many connections as it takes."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress

import anyio
import httpx

from job_service.client.awaiting.driver import Driver, in_time_for
from job_service.client.event_stream import Follower, StreamedEvent
from job_service.client.httpx_messages import answer_of, arguments_of, no_answer_of
from job_service.errors import Unreachable


class StreamMethods(Driver):
    """Follow what happens."""

    @asynccontextmanager
    async def stream(
        self,
        *,
        job_ids: Sequence[str] = (),
        events: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> AsyncIterator[AsyncIterator[StreamedEvent]]:
        """As JobClient.stream."""
        follower = Follower(
            job_ids, events, last_event_id, self._calls.patience_seconds, anyio.current_time
        )
        async with aclosing(self._follow(follower)) as stream:
            await anext(stream)
            async with aclosing(
                event async for event in stream if event is not None
            ) as events_only:
                yield events_only

    async def _follow(self, follower: Follower) -> AsyncGenerator[StreamedEvent | None]:
        """The events, and None whenever a connection stands."""
        while True:
            why = f"the stream of {self.url} has ended"
            try:
                request = follower.request()
                async with self._http.stream(**arguments_of(request)) as response:
                    body = b""
                    if not response.is_success:
                        with in_time_for(request):
                            body = await response.aread()
                    follower.accept(answer_of(response, body))
                    yield None
                    async with _ended(response.aiter_bytes(), response) as pieces:
                        async for piece in pieces:
                            for event in follower.read(piece):
                                yield event
            except (httpx.RequestError, Unreachable) as error:
                why = no_answer_of(error, self.url).why
            await anyio.sleep(follower.pause_after(why))


@asynccontextmanager
async def _ended(
    pieces: AsyncIterator[bytes], response: httpx.Response
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The pieces of a response, whose generators within httpx are ended with the block.

    httpx leaves them to the garbage collection, of which Trio warns.
    """
    try:
        yield pieces
    finally:
        await response.aclose()
        with suppress(httpx.RequestError):
            async for _ in pieces:  # it ends at once, as the connection is closed
                pass
