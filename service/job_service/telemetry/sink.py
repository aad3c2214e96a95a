"""Carries log lines to a file descriptor on a thread, so that no reader holds the loop."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from types import TracebackType
from typing import Self

from job_service.telemetry.events import LogLinesDropped, utc_now
from job_service.telemetry.log import encode_event

DEFAULT_CAPACITY_LINES = 50_000

# A busy loop lets go of the interpreter whenever it polls, and has it back before a thread that
# waits for it has even woken; the thread might never get its turn. So where the writer has work
# and does not pause, `write` stands still for a moment at every so many lines.
_YIELD_LINES = 100
_YIELD_SECONDS = 0.0001

# After each piece the thread pauses, so that under load it takes hundreds of lines at a time
# instead of contending with the loop for the interpreter at every one.
_PAUSE_SECONDS = 0.01

# How soon a loss that could not be told is told again, where no line comes to try it with.
_RETRY_SECONDS = 1.0

_LOG_FILE_MODE = 0o640


def open_log_file(path: str) -> int:
    """A descriptor that appends to the file at `path`, which is made if need be.

    Raises OSError, also for a named pipe that nobody reads: that one would be waited for.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(path, flags, _LOG_FILE_MODE)


class LineSink:
    """A bounded buffer of lines and the thread that writes it to `fd` in large pieces.

    `write` never waits for the reader and never raises. Where the buffer is full because nobody
    reads, or writing fails (broken pipe, full disk), lines are dropped and counted. The newest
    are dropped, not the oldest: what is buffered then stays one unbroken story, with one gap
    behind it. A `log_lines_dropped` line, made by `render`, tells how many are missing right where
    they are, and comes once the reader reads again; lost itself, it comes again with the sum.
    `take_dropped` tells sooner. Thread-safe, since handlers in threads log too.

    As a context manager it runs its thread for the block and flushes at the end. It does not
    close `fd`; where that is the file at `path`, `reopen` makes it the one that is there now.
    """

    def __init__(
        self,
        fd: int,
        render: Callable[[LogLinesDropped], bytes] = encode_event,
        *,
        path: str | None = None,
        capacity_lines: int = DEFAULT_CAPACITY_LINES,
    ) -> None:
        self._fd = fd
        self._render = render
        self._path = path
        self._capacity_lines = capacity_lines
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._overflowed = 0  # dropped for want of room, and not yet told in a line
        self._unwritten = 0  # lost in writing, and not yet told in a line; the thread's own
        self._changed = threading.Condition()  # guards the counts, and what a flush waits for
        self._writer_waits = False
        self._writing = False
        self._pause_ends = 0.0
        self._sealed = False
        self._writes_at_once = False
        self._closed = False
        self._cut_short = False  # the last thing written is a piece of a line
        self._reopen_wanted = False
        self._reopen_error: OSError | None = None
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
            if self._writes_at_once:
                self._write_all(line + b"\n")
            elif not self._sealed:
                with self._changed:
                    self._dropped += 1
                    self._overflowed += 1
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
                lambda: not (self._lines or self._writing), timeout_seconds
            )

    def seal(self) -> None:
        """Take no more lines: the last one has been said, whoever may still run."""
        self._sealed = True
        self._capacity_lines = 0

    def write_at_once(self) -> None:
        """In a forked child, which has a copy of the buffer but no thread: write where one stands.

        What is in the buffer is for the parent to write. Takes no lock, since the thread may have
        held it.
        """
        self._changed = threading.Condition()
        self._lines.clear()
        self._writing = False
        self._writes_at_once = True
        self._capacity_lines = 0

    def take_dropped(self) -> int:
        """How many lines were dropped since the last call."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def reopen(self) -> None:
        """Have the thread open the file at `path` anew, as after its rotation.

        Made for signal handlers: it waits for nothing (the lock is one that its holder may take
        again). Where the file can't be opened the old one is kept; see `take_reopen_error`.
        """
        self._reopen_wanted = True
        with self._changed:
            self._changed.notify_all()

    def take_reopen_error(self) -> OSError | None:
        """Why the file could not be reopened, where that has happened since the last call."""
        with self._changed:
            error, self._reopen_error = self._reopen_error, None
            return error

    def _drain(self) -> None:
        while self._wait_for_work():
            if self._reopen_wanted:
                self._reopen_wanted = False
                self._reopen()
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            with self._changed:
                overflowed, self._overflowed = self._overflowed, 0
            self._write_story(lines, overflowed)
            with self._changed:
                self._writing = False
                self._changed.notify_all()
            self._pause_ends = time.monotonic() + _PAUSE_SECONDS
            time.sleep(_PAUSE_SECONDS)

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._writer_waits = True
            while not (self._lines or self._closed or self._reopen_wanted):
                something_to_tell = self._unwritten and not self._sealed
                in_time = self._changed.wait(_RETRY_SECONDS if something_to_tell else None)
                self._writer_waits = True
                if not in_time:
                    break
            self._writer_waits = False
            self._writing = bool(self._lines) or not self._closed
            return self._writing

    def _reopen(self) -> None:
        if self._path is None:
            return
        try:
            new = open_log_file(self._path)
        except OSError as error:
            with self._changed:
                self._reopen_error = error
            return
        self._cut_short &= os.path.sameopenfile(new, self._fd)
        os.dup2(new, self._fd, inheritable=False)
        os.close(new)

    def _write_story(self, lines: list[bytes], overflowed: int) -> None:
        """Write `lines`, and what was lost before and after them; count what does not come out."""
        before = [self._report(self._unwritten)] if self._unwritten else []
        after = [self._report(overflowed)] if overflowed else []
        story = [*before, *lines, *after]
        if not story:
            return
        written = self._write_lines(story)
        if before and written:
            self._unwritten = 0
        lost = len(story) - max(written, len(before))
        if lost and after:
            self._unwritten += overflowed
            lost -= 1
        self._unwritten += lost
        with self._changed:
            self._dropped += lost

    def _report(self, lines: int) -> bytes:
        return self._render(LogLinesDropped(timestamp=utc_now(), lines=lines))

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
