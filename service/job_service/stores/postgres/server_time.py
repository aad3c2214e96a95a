"""The time of the server, as a process knows it without asking each time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from job_service.telemetry.events import utc_now

_CORRECTION_SECONDS: Final = 1.0  # by less, a clock is not set but kept right


class ServerTime:
    """Counts on from what the server has said, in seconds that `elapsed` gives."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._began_at: float | None = None  # by the server's clock, when ours had elapsed 0 s

    def now(self) -> datetime:
        """The server's time now; that of this machine until the server has said anything."""
        if self._began_at is None:
            return utc_now()
        now = datetime.fromtimestamp(self._began_at + self._elapsed(), UTC)
        return now if now.microsecond else now.replace(microsecond=1)  # as `utc_now` does

    def learn(self, servers: datetime) -> None:
        """The server has just said what time it is."""
        # This machine's wall clock may be wrong, and may be set at any moment; time elapses as it
        # should. Each look comes a little late, so the latest is the best, unless the server's
        # clock was set.
        began, known = servers.timestamp() - self._elapsed(), self._began_at
        if known is None or began > known or began < known - _CORRECTION_SECONDS:
            self._began_at = began
