"""Lets one process at a time have a database: the others are told which one has it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job_service.errors import StoreRefused


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the database at `path` to ourselves for the block.

    The lock is on a file beside it, named as the database is, with `-lock`, whatever links lead
    there. It has the pid of its holder, and is never deleted: another process may be waiting with
    it open. Raises StoreRefused if another process, or another part of this one, has the database.
    """
    place = Path(f"{os.path.realpath(path)}-lock")
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreRefused(f"can't open the lock file {place}: {error.strerror}") from None
    holder = _Holder(descriptor)
    try:
        try:
            # Not `lockf`, which two parts of one process would both get, and lose as soon as
            # anyone in it closes the file.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(descriptor)
            raise StoreRefused(
                f"{path} is in use by {owner}: stop that first, or take another file"
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        holder.close()


class _Holder:
    """The open lock file. A forked child has it, too, and would keep the lock: it lets go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        """Close the file, if that has not been done. It is unlocked if nobody else has it open."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _owner(descriptor: int) -> str:
    pid = os.pread(descriptor, 20, 0).strip()
    return f"process {pid.decode()}" if pid.isdigit() else "another process"
