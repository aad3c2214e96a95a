"""Writes down which attempts begin, in memory that outlives the process.

A start is kept a moment after its handler was called, with all else that happens meanwhile, because
no handler is to wait for the disk. If the handler ends the process before that, what is written
here is the only trace of its attempt. The memory is the kernel's, of a file beside the database:
what is written to a file is there for whoever reads it next, whatever becomes of the process. Only
if the machine itself goes down it may be lost, and then no handler was the cause.

The file is not mapped into memory: if it were cut off, the kernel would end the process.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from job_service.errors import StoreRefused
from job_service.jobs.state.model import Attempt
from job_service.stores.sqlite.files_beside import open_beside

_SUFFIX: Final = "-starts"
_ENTRIES: Final = 4_096
_ENTRY_BYTES: Final = 128
_BYTES: Final = _ENTRIES * _ENTRY_BYTES

# So many starts may not be kept yet before no others may follow, which leaves room for those that
# are on their way to a worker.
MOST_UNKEPT: Final = _ENTRIES // 2

_encode = msgspec.json.Encoder().encode


class Begun(NamedTuple):
    """An attempt that began; it may be long over."""

    job_id: str
    number: int
    worker_id: str
    started_at: datetime


class StartLog:
    """The last attempts that began: each new one takes the place of the oldest.

    The file has the name of the database with `-starts`. It is always of the same size, so it needs
    no place on the disk while the service runs.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.begun = 0  # attempts, since it was opened
        self.kept = 0  # of these, the first so many

    @classmethod
    def open(cls, path: Path) -> Self:
        """The one beside the database at `path`, made if there is none. Raises StoreRefused."""
        descriptor = open_beside(path, _SUFFIX)
        try:
            size = os.fstat(descriptor).st_size
            while size < _BYTES:  # written and not just claimed, so that the disk has the place
                size += os.pwrite(descriptor, b" " * (_BYTES - size), size)
            os.fsync(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise StoreRefused(f"can't use {path}{_SUFFIX}: {error.strerror}") from None
        return cls(descriptor)

    def read(self) -> dict[str, Begun]:
        """The last attempt of each job of which there is an entry, by the job's id.

        Raises OSError.
        """
        found = dict[str, Begun]()
        entries = os.pread(self._descriptor, _BYTES, 0)
        for start in range(0, len(entries), _ENTRY_BYTES):
            try:
                begun = _decode(entries[start : start + _ENTRY_BYTES])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # it is empty, or the process ended in the middle of it
            if begun.job_id not in found or begun.number > found[begun.job_id].number:
                found[begun.job_id] = begun
        return found

    def add(self, job_id: str, attempt: Attempt) -> None:
        """An attempt of this job begins. Raises OSError if that can't be written down."""
        start = self.begun * _ENTRY_BYTES % _BYTES
        self.begun += 1
        entry = _encode((job_id, attempt.number, attempt.worker_id, attempt.started_at))
        os.pwrite(self._descriptor, entry.ljust(_ENTRY_BYTES), start)

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)


_decode = msgspec.json.Decoder(Begun).decode
