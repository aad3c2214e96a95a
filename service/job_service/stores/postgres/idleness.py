"""Whether this process starts nothing although it could: load balancers and operators are told."""

import math
from collections.abc import Callable
from typing import Final

IDLE_SECONDS: Final = 30.0


class Idleness:
    """Knows when this process last looked for jobs, and since when it has found and taken none."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._looked_at = math.inf
        self._in_vain_since = math.inf

    @property
    def why(self) -> str | None:
        """Why this process is not to be trusted with jobs; None if it is."""
        now = self._monotonic()
        if (seconds := now - self._looked_at) > IDLE_SECONDS:
            return f"it has not looked for jobs for {seconds:.0f} seconds"
        if (seconds := now - self._in_vain_since) > IDLE_SECONDS:
            return f"jobs are ready and workers are free, but it got none for {seconds:.0f} seconds"
        return None

    def note_look(self, *, in_vain: bool) -> None:
        """It has looked for jobs; `in_vain` if there were some for it, and it got none."""
        self._looked_at = self._monotonic()
        if not in_vain:
            self._in_vain_since = math.inf
        elif self._in_vain_since == math.inf:
            self._in_vain_since = self._looked_at
