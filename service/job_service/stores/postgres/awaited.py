"""Who waits for the end of which job, wherever it runs."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
import trio

from job_service.stores.postgres.reading import Reader

EVERY_SECONDS: Final = 0.05


class Awaited:
    """Wakes those who wait: when it is told of an end here, or sees one elsewhere."""

    def __init__(self) -> None:
        self._events: dict[str, trio.Event] = {}
        self._anyone_waits = trio.Event()

    async def ended(self, job_id: str) -> None:
        """Return when the job has ended, and that is kept and told. It may be cancelled."""
        event = self._events.setdefault(job_id, trio.Event())
        self._anyone_waits.set()
        try:
            await event.wait()
        finally:
            if not event.is_set() and not event.statistics().tasks_waiting:
                del self._events[job_id]

    def wake(self, job_id: str) -> None:
        """The job has ended."""
        if (event := self._events.pop(job_id, None)) is not None:
            event.set()

    async def look(self, reader: Reader, is_here: Callable[[str], bool]) -> None:
        """Look for ends of awaited jobs that are not here, until cancelled."""
        while True:
            if not self._events:
                self._anyone_waits = trio.Event()
            await self._anyone_waits.wait()
            if elsewhere := [job_id for job_id in self._events if not is_here(job_id)]:
                with suppress(psycopg.Error):
                    for job_id in await reader.ended(elsewhere):
                        self.wake(job_id)
            await trio.sleep(EVERY_SECONDS)
