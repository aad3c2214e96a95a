"""Files that may change while the service runs, such as a certificate, and when to read them anew.

They are looked at and read in threads, because their disk may be slow or hang.
"""

import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

LOOK_SECONDS = 1.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Signature = tuple[tuple[int, int, int], ...]


class WatchedFiles:
    """Some files that are read together.

    `seen` is how they looked just before they were read. If it is left out, they are read only
    after this is made.
    """

    def __init__(self, *paths: str, seen: Signature | None = None) -> None:
        self._paths = paths
        self._signature = look(*paths) if seen is None else seen
        self._is_asked = False

    def reload_soon(self) -> None:
        """Read the files anew even if they look the same. May be called by a signal handler."""
        self._is_asked = True

    async def watch(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Call `reload` whenever the files have changed, or `reload_soon` was called.

        Never returns. When the first file changes, the second may not be written yet. So a change
        counts only if the files look the same twice in a row.
        """
        before = self._signature
        while True:
            await trio.sleep(LOOK_SECONDS)
            now = await in_thread(look, *self._paths)
            has_changed = now == before != self._signature
            before = now
            if has_changed or self._is_asked:
                self._is_asked = False
                self._signature = now
                await reload()


async def in_thread(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call it in a thread of its own, for which handlers can't keep it waiting. Cancellable."""
    return await trio.to_thread.run_sync(
        function, *args, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
    )


def look(*paths: str) -> Signature:
    """What changes when one of these files is written or replaced."""
    return tuple(map(_signature, paths))


def _signature(path: str) -> tuple[int, int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return 0, 0, 0
    if not stat.S_ISREG(status.st_mode):  # a pipe changes as it is read, and can't be read again
        return 0, 0, status.st_ino
    return status.st_mtime_ns, status.st_size, status.st_ino
