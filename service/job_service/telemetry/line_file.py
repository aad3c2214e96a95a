"""Writes log lines to a descriptor, whose file may be opened again while the service runs."""

import os
import select
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from job_service.telemetry.text import escaped, is_safe

_PIECE_BYTES = 1024 * 1024  # that are joined at a time: a copy of the lines
_LOG_FILE_MODE = 0o640


def open_log_file(path: str) -> int:
    """A descriptor that appends to the file at `path`, which is made if need be.

    Raises OSError, also for a named pipe that nobody reads, instead of waiting for a reader.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(path, flags, _LOG_FILE_MODE)


class LineFile:
    """Writes lines to a descriptor. Nobody else may close it, or another file would get its number.

    `path` is the file that `reopen` opens. A relative path is one from the present working
    directory, wherever the process goes later.
    """

    def __init__(self, fd: int, path: str | None) -> None:
        self._fd = fd
        self._path = None if path is None else str(Path(path).absolute())
        self._cut_short = False  # the last thing written is a piece of a line

    def write(self, lines: Sequence[bytes]) -> int:
        """Write the lines, each with a line break; returns how many were written as a whole.

        Characters that could deceive a reader are escaped. That happens here, and not where a line
        is made, because most lines have none, and of many lines that is seen in one look.

        It waits for whoever reads, and stops at the first line that can't be written.
        """
        written = 0
        for piece in _pieces(lines):
            whole = self._write_piece(piece)
            written += whole
            if whole < len(piece):
                break
        return written

    def reopen(self) -> None:
        """Go on in the file that is at the path now. Raises OSError, and then keeps the old one."""
        if self._path is None:
            return
        new = open_log_file(self._path)
        self._cut_short &= os.path.sameopenfile(new, self._fd)
        os.dup2(new, self._fd, inheritable=False)
        os.close(new)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)

    def _write_piece(self, lines: Sequence[bytes]) -> int:
        cut = b"\n" if self._cut_short else b""  # ends what an earlier failure left unfinished
        piece = cut + b"\n".join(lines) + b"\n"
        if not is_safe(piece):
            lines = [escaped(line) for line in lines]
            piece = cut + b"\n".join(lines) + b"\n"
        written = self._write_all(piece)
        if written == len(piece):
            self._cut_short = False
            return len(lines)
        if written > 0:
            self._cut_short = not piece.endswith(b"\n", 0, written)
        _, *ends = accumulate((len(line) + 1 for line in lines), initial=len(cut))
        return sum(end <= written for end in ends)

    def _write_all(self, piece: bytes) -> int:
        """Write all of `piece`, or as much as can be written; returns the number of bytes."""
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking
                self._wait_until_writable()
            except OSError:
                break
        return len(piece) - len(rest)

    def _wait_until_writable(self) -> None:
        poll = select.poll()  # unlike `select`, it takes descriptors of any number
        poll.register(self._fd, select.POLLOUT)
        poll.poll()


def _pieces(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    if sum(map(len, lines)) <= _PIECE_BYTES:  # nearly always
        yield lines
        return
    first = size = 0
    for index, line in enumerate(lines, 1):
        size += len(line)
        if size >= _PIECE_BYTES:
            yield lines[first:index]
            first, size = index, 0
    if first < len(lines):
        yield lines[first:]
