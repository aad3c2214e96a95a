"""Names what blocks the event loop, while it lasts: a thread that looks at the loop from outside.

On a cooperative loop one blocking handler stops everybody, HTTP and the other jobs included. The
loop only notes when it begins and ends a turn, which costs it two short calls for all the tasks
that are ready in it; the thread does the rest.

A stall is told twice. While it lasts the loop can't tell anything, so the thread does, and writes
a line of the log; only that, since the log is made for lines from any thread. Metrics and feed
have no lock and are left to the loop: they hear of the stall, once, when it is over. Until then
nobody could have asked them anyway.
"""

import math
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import trio
from msgspec import UNSET, structs

from job_service.telemetry.events import Event, LoopStalled, utc_now
from job_service.telemetry.stall_attribution import JobOfFrame, attribute_stall


class Watchdog(trio.abc.Instrument):
    """Watches the loop it is entered in, for the block. A stall is a turn of `threshold_seconds`.

    `warn` is told while a stall lasts, on another thread; `emit` when it is over, on the loop.
    `job_of_frame` gives id, type and worker of the job that a frame belongs to, or None. It is
    asked on the other thread.

    A turn can also be long because thousands of tasks were ready in it. The place and the job are
    then of the one among them that had its step when the threshold was reached.
    """

    def __init__(
        self,
        threshold_seconds: float,
        *,
        warn: Callable[[Event], None],
        emit: Callable[[Event], None],
        job_of_frame: JobOfFrame,
    ) -> None:
        self._threshold = threshold_seconds
        self._warn = warn
        self._emit = emit
        self._job_of_frame = job_of_frame
        self._turn_began = math.inf  # while the loop waits, so that it waits as long as it likes
        self._stall: LoopStalled | None = None  # the present one, once it was warned of
        self._over: list[LoopStalled] = []  # still to be told
        self._warning = threading.Lock()  # so that no stall ends while it is being warned of
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(
            target=self._watch,
            args=(threading.get_ident(), trio.lowlevel.current_root_task()),
            name="watchdog",
            daemon=True,
        )
        self._turn_began = time.monotonic()
        trio.lowlevel.add_instrument(self)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        trio.lowlevel.remove_instrument(self)
        self._closed.set()
        self._thread.join()
        self.conclude()

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """Called by Trio: a turn begins."""
        self._turn_began = time.monotonic()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """Called by Trio: all that was ready has had its step."""
        if self._end_turn():
            # The loop has already decided how long it will wait; nobody can be woken from here.
            self._token.run_sync_soon(self._tell_what_is_over)

    def conclude(self) -> None:
        """Take the present stall for over, and tell of it at once.

        Another thread may call it only when the loop is blocked and the process is to end at once.
        """
        self._end_turn()
        self._tell_what_is_over()

    def _end_turn(self) -> bool:
        """Whether it was a stall that was warned of."""
        began, self._turn_began = self._turn_began, math.inf
        seconds = time.monotonic() - began
        if seconds < self._threshold:
            return False
        with self._warning:
            stall, self._stall = self._stall, None
        if stall is None:
            return False
        self._over.append(
            structs.replace(
                stall, timestamp=utc_now(), stalled_seconds=round(seconds, 6), over=True
            )
        )
        return True

    def _tell_what_is_over(self) -> None:
        over, self._over = self._over, []
        for stall in over:
            self._emit(stall)

    def _watch(self, loop_thread: int, root: trio.lowlevel.Task) -> None:
        wait_seconds = self._threshold
        while not self._closed.wait(wait_seconds):
            began = self._turn_began
            seconds_left = began + self._threshold - time.monotonic()
            if seconds_left <= 0 and self._stall is None:
                self._look(began, loop_thread, root)
            # No turn that has yet to begin can be a stall any sooner.
            wait_seconds = seconds_left if 0 < seconds_left < self._threshold else self._threshold

    def _look(self, began: float, loop_thread: int, root: trio.lowlevel.Task) -> None:
        innermost = sys._current_frames()[loop_thread]  # noqa: SLF001 (it is documented)
        where, job = attribute_stall(innermost, root, self._job_of_frame)
        with self._warning:
            if self._turn_began != began:
                return  # it is over already, and what was seen may be of another turn
            self._stall = LoopStalled(
                timestamp=utc_now(),
                stalled_seconds=round(time.monotonic() - began, 6),
                where=where,
                job_id=job.job_id if job else UNSET,
                job_type=job.job_type if job else UNSET,
                worker_id=job.worker_id if job else UNSET,
            )
            self._warn(self._stall)
