"""Carries log lines to a file descriptor on a thread, so that no reader can hold up the loop."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import trio

from job_service.telemetry.events import LogLinesDropped, utc_now
from job_service.telemetry.line_file import LineFile
from job_service.telemetry.log import encode_event

# The buffer is full when it has either. The thread may hold as much again while it writes.
CAPACITY_LINES = 50_000
CAPACITY_BYTES = 8 * 1024 * 1024

# A busy loop releases the interpreter whenever it polls, and has it back before a thread that waits
# for it has even woken up. The thread might never get its turn. So `write` sleeps for a moment at
# every so many lines if the thread has work and does not pause.
_YIELD_LINES = 100
_YIELD_SECONDS = 0.0001

# After each piece the thread pauses. So under load it takes hundreds of lines at a time, and does
# not compete with the loop for the interpreter at every line.
_PAUSE_SECONDS = 0.01

# How soon the report of a loss is tried again if it could not be written and no line comes.
_RETRY_SECONDS = 1.0


class LineSink:
    """A bounded buffer of lines and the thread that writes it to `fd` in large pieces.

    `write` never waits for the reader and never raises. If the buffer is full because nobody
    reads, or if writing fails (broken pipe, full disk), lines are dropped and counted. The newest
    lines are dropped, not the oldest: so the lines in the buffer stay without a gap, and there is
    one gap behind them. A `log_lines_dropped` line, made by `render`, says right there how many are
    missing. It is written when the reader reads again; if it is lost itself, the next one has the
    sum. `take_dropped` tells it sooner. All of it is thread-safe, because handlers in threads log.

    As a context manager it runs its thread for the block, and flushes at the end. It owns `fd`: the
    thread closes it when it has written what it can, even long after the block. So it never writes
    to another file that got the same number. If `fd` is the file at `path`, `reopen` replaces it by
    the file that is there now.
    """

    def __init__(
        self,
        fd: int,
        render: Callable[[LogLinesDropped], bytes] = encode_event,
        *,
        path: str | None = None,
        capacity_lines: int = CAPACITY_LINES,
        capacity_bytes: int = CAPACITY_BYTES,
    ) -> None:
        self._file = LineFile(fd, path)
        self._render = render
        self._capacity_lines = capacity_lines
        self._capacity_bytes = capacity_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0  # in the buffer: roughly, because threads add to it without a lock
        self._dropped = 0
        self._overflowed = 0  # dropped because the buffer was full, and not reported yet
        self._unwritten = 0  # lost in writing, and not reported yet; only the thread uses it
        self._changed = threading.Condition()  # guards the counts, and what a flush waits for
        self._writer_waits = False
        self._writing = False
        self._pause_ends = 0.0
        self._sealed = False
        self._writes_at_once = False
        self._closed = False
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
        if not self._closed:
            self.flush()
            self._close()

    async def aclose(self) -> None:
        """Do what the block's end does, but let the loop run meanwhile.

        It takes a second at most, and can't be cancelled.
        """
        with trio.CancelScope(shield=True):
            await self.flush_off_loop()
        self._close()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def write(self, line: bytes) -> None:
        """Take one line, without its line break."""
        waiting = len(self._lines)
        if waiting >= self._capacity_lines or (waiting and self._bytes >= self._capacity_bytes):
            if self._writes_at_once:
                self._file.write([line])
            elif not self._sealed:
                with self._changed:
                    self._dropped += 1
                    self._overflowed += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        # No lock: the thread sets this flag before it looks for lines a last time.
        if self._writer_waits:
            with self._changed:
                self._writer_waits = False
                self._changed.notify_all()
        elif waiting % _YIELD_LINES == 0 and time.monotonic() > self._pause_ends:
            time.sleep(_YIELD_SECONDS)

    def flush(self, timeout_seconds: float = 1.0) -> bool:
        """Block until all lines so far are written or dropped, or the time is over.

        Returns whether the buffer is empty.
        """
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not (self._lines or self._writing), timeout_seconds
            )

    async def flush_off_loop(self, timeout_seconds: float = 1.0) -> bool:
        """As `flush`, in a thread that no handler can keep from starting. It can be cancelled."""
        return await trio.to_thread.run_sync(
            self.flush, timeout_seconds, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )

    def seal(self) -> None:
        """Take no more lines: the last one has been written, whatever may still run."""
        self._sealed = True
        self._capacity_lines = 0

    def write_at_once(self) -> None:
        """In a forked child, which has a copy of the buffer but no thread: write in the caller.

        The parent writes what is in the buffer. This takes no lock, because the thread may have
        held it when the child was made.
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
        """Have the thread open the file at `path` again, as after its rotation.

        Signal handlers may call it: it never waits, because its lock can be taken twice by the same
        thread. If the file can't be opened, the old one is kept; see `take_reopen_error`.
        """
        self._reopen_wanted = True
        with self._changed:
            self._changed.notify_all()

    def take_reopen_error(self) -> OSError | None:
        """Why the file could not be reopened, if that has happened since the last call."""
        with self._changed:
            error, self._reopen_error = self._reopen_error, None
            return error

    def _drain(self) -> None:
        try:
            while self._wait_for_work():
                self._write_out()
                self._pause_ends = time.monotonic() + _PAUSE_SECONDS
                time.sleep(_PAUSE_SECONDS)
        finally:
            self._file.close()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._writer_waits = True
            while not (self._lines or self._closed or self._reopen_wanted):
                has_report = self._unwritten and not self._sealed
                in_time = self._changed.wait(_RETRY_SECONDS if has_report else None)
                self._writer_waits = True
                if not in_time:
                    break
            self._writer_waits = False
            self._writing = bool(self._lines) or not self._closed
            return self._writing

    def _write_out(self) -> None:
        if self._reopen_wanted:
            self._reopen_wanted = False
            self._reopen()
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        self._bytes = 0
        with self._changed:
            overflowed, self._overflowed = self._overflowed, 0
        self._write_lines(lines, overflowed)
        with self._changed:
            self._writing = False
            self._changed.notify_all()

    def _reopen(self) -> None:
        try:
            self._file.reopen()
        except OSError as error:
            with self._changed:
                self._reopen_error = error

    def _write_lines(self, lines: list[bytes], overflowed: int) -> None:
        """Write `lines`, with reports of what was lost before and after; count what is lost now."""
        before = [self._report(self._unwritten)] if self._unwritten else []
        after = [self._report(overflowed)] if overflowed else []
        whole = [*before, *lines, *after]
        if not whole:
            return
        written = self._file.write(whole)
        if before and written:
            self._unwritten = 0
        lost = len(whole) - max(written, len(before))
        if lost and after:
            self._unwritten += overflowed
            lost -= 1
        self._unwritten += lost
        with self._changed:
            self._dropped += lost

    def _report(self, lines: int) -> bytes:
        return self._render(LogLinesDropped(timestamp=utc_now(), lines=lines))
