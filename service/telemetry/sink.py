"""Carries log lines to a file descriptor on a thread, so that no reader holds the loop."""

import os
import select
import threading
import time
from collections import deque
from itertools import accumulate
from types import TracebackType
from typing import Self

DEFAULT_CAPACITY_LINES = 50_000

# A busy loop lets go of the interpreter whenever it polls, and has it back before a thread that
# waits for it has even woken; the thread might never get its turn. So where the writer has work
# and does not pause, `write` stands still for a moment at every so many lines.
_YIELD_LINES = 100
_YIELD_SECONDS = 0.0001

# After each piece the thread pauses, so that under load it takes hundreds of lines at a time
# instead of contending with the loop for the interpreter at every one.
_PAUSE_SECONDS = 0.01


class LineSink:
    """A bounded buffer of lines and the thread that writes it to `fd` in large pieces.

    `write` never waits for the reader and never raises. Where the buffer is full because nobody
    reads, or writing fails (broken pipe, full disk), lines are dropped and counted. The newest
    are dropped, not the oldest: what is buffered then stays one unbroken story, with one gap
    behind it whose size `take_dropped` tells. Thread-safe, since handlers in threads log too.

    As a context manager it runs its thread for the block and flushes at the end. It does not
    close `fd`.
    """

    def __init__(self, fd: int, capacity_lines: int = DEFAULT_CAPACITY_LINES) -> None:
        self._fd = fd
        self._capacity_lines = capacity_lines
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._changed = threading.Condition()  # guards the drop count, and what a flush waits for
        self._writer_waits = False
        self._writing = False
        self._pause_ends = 0.0
        self._closed = False
        self._cut_short = False  # the last thing written is a piece of a line
        self._thread = threading.Thread(target=self._drain, name="log-sink", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def write(self, line: bytes) -> None:
        """Take one line, without its newline."""
        waiting = len(self._lines)
        if waiting >= self._capacity_lines:
            self._count_dropped(1)
            return
        self._lines.append(line)
        # No lock: the writer raises this flag before it looks for lines a last time.
        if self._writer_waits:
            with self._changed:
                self._writer_waits = False
                self._changed.notify_all()
        elif waiting % _YIELD_LINES == 0 and time.monotonic() > self._pause_ends:
            time.sleep(_YIELD_SECONDS)

    def flush(self, timeout_seconds: float = 1.0) -> bool:
        """Block until all lines taken so far are written, or dropped, or the time is over.

        Returns whether the buffer was emptied.
        """
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not self._lines and not self._writing, timeout_seconds
            )

    def seal(self) -> None:
        """Take no more lines: the last one has been said, whoever may still run."""
        self._capacity_lines = 0

    def take_dropped(self) -> int:
        """How many lines were dropped since the last call."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def _count_dropped(self, lines: int) -> None:
        with self._changed:
            self._dropped += lines

    def _drain(self) -> None:
        while self._wait_for_lines():
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            self._count_dropped(len(lines) - self._write_lines(lines))
            with self._changed:
                self._writing = False
                self._changed.notify_all()
            self._pause_ends = time.monotonic() + _PAUSE_SECONDS
            time.sleep(_PAUSE_SECONDS)

    def _wait_for_lines(self) -> bool:
        with self._changed:
            self._writer_waits = True
            while not self._lines and not self._closed:
                self._changed.wait()
                self._writer_waits = True
            self._writer_waits = False
            self._writing = bool(self._lines)
            return self._writing

    def _write_lines(self, lines: list[bytes]) -> int:
        """Write the lines; returns how many of them came out whole."""
        cut = b"\n" if self._cut_short else b""  # ends what an earlier failure left unfinished
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
        """Write `piece` until it is out or the descriptor refuses; returns the bytes written."""
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking
                select.select([], [self._fd], [])
            except OSError:
                break
        return len(piece) - len(rest)
