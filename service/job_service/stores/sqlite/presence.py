"""Notices that the files of a database in use were deleted, replaced or cut off.

SQLite does not: it goes on with the files that it has open. All that it keeps then is gone as soon
as they are closed, or does not fit what is left of them.
"""

import sqlite3
import time
from pathlib import Path
from typing import Final

_EVERY_SECONDS: Final = 1.0  # because to look lets others have the interpreter for a while


class Presence:
    """Looks after the files that a connection has open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        (_, _, self._path) = connection.execute("PRAGMA database_list").fetchone()
        self._inodes = {path: found for path in self._paths() if (found := _inode(path))}
        self._bytes = 0
        self._looked_at = -_EVERY_SECONDS
        self.require()

    def require(self) -> None:
        """Raise sqlite3.OperationalError if they are not where they were. It looks now and then."""
        now = time.monotonic()
        if now < self._looked_at + _EVERY_SECONDS:
            return
        for path, inode in self._inodes.items():
            if _inode(path) != inode:
                raise sqlite3.OperationalError(
                    f"{path} was deleted or replaced while it is in use: put it back"
                )
        size = Path(self._path).stat().st_size
        if size < self._bytes:
            raise sqlite3.OperationalError(
                f"{self._path} was cut off while it is in use: put a backup in its place"
            )
        self._bytes, self._looked_at = size, now

    def _paths(self) -> tuple[str, ...]:
        return self._path, f"{self._path}-wal"


def _inode(path: str) -> tuple[int, int] | None:
    """What tells a file from any other; None if there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
