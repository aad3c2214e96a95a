"""Follows the event stream, over as many connections as it takes."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import httpx

from job_service.client.blocking.driver import Driver, read_whole
from job_service.client.event_stream import Follower, StreamedEvent
from job_service.client.httpx_messages import answer_of, arguments_of, no_answer_of, seconds_for
from job_service.errors import Unreachable


class StreamMethods(Driver):
    """Follow what happens."""

    @contextmanager
    def stream(
        self,
        *,
        job_ids: Sequence[str] = (),
        events: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> Iterator[Iterator[StreamedEvent]]:
        """What happens from the start of the `with` block on, or after `last_event_id`.

        Only events of the jobs `job_ids`, and only those named in `events`, if any are given. A
        connection that breaks is opened again, and the stream goes on where it was. It ends with
        Unreachable if that takes longer than `patience_seconds`. Raises InvalidOption.
        """
        follower = Follower(
            job_ids, events, last_event_id, self._calls.patience_seconds, time.monotonic
        )
        with closing(self._follow(follower)) as stream:
            next(stream)
            yield (event for event in stream if event is not None)

    def _follow(self, follower: Follower) -> Generator[StreamedEvent | None]:
        """The events, and None whenever a connection stands."""
        while True:
            why = f"the stream of {self.url} has ended"
            try:
                request = follower.request()
                with self._http.stream(**arguments_of(request)) as response:
                    body = b""
                    if not response.is_success:
                        deadline = time.monotonic() + seconds_for(request)
                        body = read_whole(response, request, deadline)
                    follower.accept(answer_of(response, body))
                    yield None
                    for piece in response.iter_bytes():
                        yield from follower.read(piece)
            except (httpx.RequestError, Unreachable) as error:
                why = no_answer_of(error, self.url).why
            time.sleep(follower.pause_after(why))
