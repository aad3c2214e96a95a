"""Lets one process at a time have a database, and tells the others which one has it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from job_service.errors import StoreRefused
from job_service.stores.sqlite.files_beside import open_beside

_SUFFIX: Final = "-lock"


class StoreInUse(StoreRefused):
    """Another process has the database, or another part of this one."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the database at `path` to ourselves for the block.

    The lock is on a file beside the database, whatever links lead there. Its name is that of the
    database with `-lock`, and its text is the pid of the process that has it. It is never deleted,
    because another process may have opened it just before.

    Raises StoreInUse if another process has the database, or another part of this one, and
    StoreRefused if the lock can't be had at all.
    """
    descriptor = -1

    def let_go() -> None:
        nonlocal descriptor
        held, descriptor = descriptor, -1
        if held >= 0:
            os.close(held)

    # A forked child has the open file, too, and would keep the lock for as long as it lives.
    os.register_at_fork(after_in_child=let_go)
    descriptor = open_beside(path, _SUFFIX)
    try:
        # `lockf` would let two parts of one process in, and lose the lock as soon as any of them
        # closes the file.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = _owner(descriptor)
        let_go()
        if isinstance(error, BlockingIOError):
            raise StoreInUse(f"{path} is in use by {owner}: stop that one first") from None
        raise StoreRefused(f"can't lock {path}{_SUFFIX}: {error.strerror}") from None
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        if descriptor >= 0:
            # A child that was forked just now may not have let go yet.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        let_go()


def _owner(descriptor: int) -> str:
    pid = os.pread(descriptor, 20, 0).strip()
    return f"process {pid.decode()}" if pid.isdigit() else "another process"
