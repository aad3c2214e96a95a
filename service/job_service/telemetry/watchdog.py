"""Names what blocks a loop while it does so: a thread watches the loop from outside.

On a cooperative loop one handler that blocks stops everything, HTTP and the other jobs included.
The loop only notes when each of its turns begins and ends. That costs two short calls for all the
tasks that are ready in a turn. The thread does the rest.

An asyncio loop, if handlers use one, is watched in the same way. Its turns can be told from what it
waits in.

Each stall has two events. While it lasts the loop can't emit anything, so the thread writes the
first one to the log, which takes lines from any thread. Metrics and feed have no lock, so they are
left to the loop: it emits the second event when the stall is over. Nobody could have asked them
before.
"""

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

import trio
from msgspec import UNSET, UnsetType, structs

from job_service.telemetry.events import Event, LoopStalled, utc_now
from job_service.telemetry.stall_attribution import JobOfFrame, attribute_stall


class TurnWatch:
    """Watches the turns of the loop of the thread that enters it, until the block ends.

    A stall is a turn of at least `threshold_seconds`. `warn` is called while the stall lasts, on
    another thread; `emit` when it is over, on the loop of `token`. `job_of_frame` gives the id, the
    type and the worker of the job that a frame belongs to, or None. It is called on the other
    thread.

    A turn may also take long because thousands of tasks were ready in it. The stall is then
    attributed to the one that had its step when the threshold was reached.
    """

    _loop: Literal["asyncio"] | UnsetType = "asyncio"

    def __init__(
        self,
        threshold_seconds: float,
        *,
        warn: Callable[[Event], None],
        emit: Callable[[Event], None],
        job_of_frame: JobOfFrame,
        token: trio.lowlevel.TrioToken | None = None,
    ) -> None:
        self._threshold = threshold_seconds
        self._warn = warn
        self._emit = emit
        self._job_of_frame = job_of_frame
        self._token = token
        self._root: trio.lowlevel.Task | None = None  # of the tasks in which to look for a job
        self._turn_began = math.inf  # while the loop waits, which is no stall
        self._stall: LoopStalled | None = None  # the present one, after its warning
        self._over = deque[LoopStalled]()  # not emitted yet
        self._warning = threading.Lock()  # so that no stall ends during its warning
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="watchdog", daemon=True
        )
        self.begin()
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()
        self.end()

    def begin(self) -> None:
        """In the watched thread: a turn begins."""
        self._turn_began = time.monotonic()

    def end(self) -> None:
        """In the watched thread: all that was ready has run."""
        if self._end_turn() and self._token is not None:
            # Trio's loop has already decided how long it will wait, so no task can be woken from
            # here; and another loop is in another thread.
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._emit_what_is_over)

    def conclude(self) -> None:
        """Treat the present stall as over, and emit it at once.

        Another thread may call this only if the loop is blocked and the process is to end.
        """
        self._end_turn()
        self._emit_what_is_over()

    def _end_turn(self) -> bool:
        """Whether the turn was a stall with a warning, which is now over."""
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

    def _emit_what_is_over(self) -> None:
        while self._over:
            self._emit(self._over.popleft())

    def _watch(self, loop_thread: int) -> None:
        wait_seconds = self._threshold
        while not self._closed.wait(wait_seconds):
            began = self._turn_began
            seconds_left = began + self._threshold - time.monotonic()
            if seconds_left <= 0 and self._stall is None:
                self._look(began, loop_thread)
            # A turn that has not begun yet can't be a stall before the threshold has passed.
            wait_seconds = seconds_left if 0 < seconds_left < self._threshold else self._threshold

    def _look(self, began: float, loop_thread: int) -> None:
        innermost = sys._current_frames()[loop_thread]  # noqa: SLF001 (it is documented)
        where, job = attribute_stall(innermost, self._root, self._job_of_frame)
        with self._warning:
            if self._turn_began != began:
                return  # it is over, and the frame may have been one of the next turn
            self._stall = LoopStalled(
                timestamp=utc_now(),
                stalled_seconds=round(time.monotonic() - began, 6),
                where=where,
                loop=self._loop,
                job_id=job.job_id if job else UNSET,
                job_type=job.job_type if job else UNSET,
                worker_id=job.worker_id if job else UNSET,
            )
            self._warn(self._stall)


class Watchdog(TurnWatch, trio.abc.Instrument):
    """Watches Trio's loop, in which it is entered, until the block ends; see `TurnWatch`."""

    _loop = UNSET

    def __enter__(self) -> Self:
        self._token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        trio.lowlevel.add_instrument(self)
        return super().__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        trio.lowlevel.remove_instrument(self)
        super().__exit__(exc_type, exc, traceback)
        self.conclude()

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """Called by Trio: a turn begins."""
        self._turn_began = time.monotonic()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """Called by Trio: all tasks that were ready have had their step."""
        self.end()
