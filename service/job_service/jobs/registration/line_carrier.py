"""Carries what handlers log from whatever thread they are in to the event loop."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

Keep = Callable[[str, str, bytes | None], None]

_MOST_WAITING: Final = 100  # lines, before a thread that writes more waits for the loop


class LineCarrier:
    """Hands the lines of one attempt to `keep`, on the loop of `token`, in their order."""

    def __init__(self, keep: Keep, token: trio.lowlevel.TrioToken) -> None:
        self._keep = keep
        self._token = token
        self._waiting = deque[tuple[str, str, bytes | None]]()

    def hear(self, level: str, event: str, fields: bytes | None) -> None:
        """Take a line, on any thread; `fields` is JSON text. It never raises."""
        in_trio = trio.lowlevel.in_trio_run()
        self._waiting.append((level, event, fields))
        if in_trio and trio.lowlevel.current_trio_token() is self._token:
            self._deliver()
            return
        with suppress(trio.RunFinishedError):  # the service has ended, and the attempt with it
            if len(self._waiting) > _MOST_WAITING and not in_trio:
                trio.from_thread.run_sync(self._deliver, trio_token=self._token)
            else:
                self._token.run_sync_soon(self._deliver, idempotent=True)

    def _deliver(self) -> None:
        while self._waiting:
            self._keep(*self._waiting.popleft())
