"""Writes down which attempts begin, in memory that outlives the process.

A start is kept a moment after its handler was called, with all else that happens meanwhile, because
no handler is to wait for the disk. If the handler ends the process before that, what is written
here is the only trace of its attempt. The memory is that of a file beside the database: the
kernel keeps what was written there, whatever becomes of the process. Only if the machine itself
goes down it may be lost, and then no handler was the cause.
"""

import mmap
import os
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from job_service.errors import StoreRefused
from job_service.jobs.state.model import Attempt

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

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._next = 0  # where the next one goes

    @classmethod
    def open(cls, path: Path) -> Self:
        """The one beside the database at `path`, made if there is none. Raises StoreRefused."""
        file = f"{os.path.realpath(path)}-starts"
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                while size < _BYTES:  # written and not just claimed, so that the disk has the place
                    size += os.pwrite(descriptor, b" " * (_BYTES - size), size)
                os.fsync(descriptor)
                return cls(mmap.mmap(descriptor, _BYTES))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreRefused(f"can't use {file}: {error.strerror}") from None

    def read(self) -> dict[str, Begun]:
        """The last attempt of each job of which there is an entry, by the job's id."""
        found = dict[str, Begun]()
        for start in range(0, _BYTES, _ENTRY_BYTES):
            try:
                begun = _decode(self._memory[start : start + _ENTRY_BYTES])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # it is empty, or the process ended in the middle of it
            if begun.job_id not in found or begun.number > found[begun.job_id].number:
                found[begun.job_id] = begun
        return found

    def add(self, job_id: str, attempt: Attempt) -> None:
        """An attempt of this job begins."""
        start, self._next = self._next, (self._next + _ENTRY_BYTES) % _BYTES
        entry = _encode((job_id, attempt.number, attempt.worker_id, attempt.started_at))
        self._memory[start : start + _ENTRY_BYTES] = entry.ljust(_ENTRY_BYTES)

    def close(self) -> None:
        """Let go of the memory. The file stays."""
        self._memory.close()


_decode = msgspec.json.Decoder(Begun).decode
