"""How the service is asked to end: once to drain, twice to stop; and made to end if it can't."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import trio

from job_service.failures.exception_groups import is_cancellation

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The two requests, as events that the supervisor waits for.

    `reason` is why the service drains; it is empty if the service stops without a drain.
    `stop_reason` is why it stops.
    """

    def __init__(self) -> None:
        self.requested = trio.Event()
        self.insisted = trio.Event()
        self.reason = ""
        self.stop_reason = "second_signal"

    def request(self, reason: str) -> None:
        """Ask to drain, for this reason; called again, ask to stop now."""
        if not self.requested.is_set():
            self.reason = reason
            self.requested.set()
        else:
            self.insisted.set()

    def cancel(self, reason: str) -> None:
        """Stop now, for this reason: whoever runs the service is cancelled."""
        if not self.insisted.is_set():
            self.stop_reason = reason
        self.requested.set()
        self.insisted.set()


def crash_of_trio() -> BaseException | None:
    """The error because of which Trio cancels everything in its run; None if there is none.

    It is one of a system task, or of a callback of `run_sync_soon`. No nursery of ours sees it.
    """
    root = trio.lowlevel.current_root_task()
    for nursery in root.child_nurseries if root is not None else []:
        for error in nursery._pending_excs:  # noqa: SLF001 (in public it is known after the run)
            if not is_cancellation(error):
                return error
    return None


class Backstop:
    """A thread that ends the process if the event loop can't, because a handler blocks it.

    `end` is called in that thread, once, when the time that `arm` has set is over.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._deadline = float("inf")
        self._unarmed = threading.Lock()
        self._unarmed.acquire()
        threading.Thread(target=self._watch, name="backstop", daemon=True).start()

    def arm(self, seconds: float) -> None:
        """End the process in this many seconds, or sooner if that was set before.

        Signal handlers, which may interrupt each other, may call it: it never waits.
        """
        self._deadline = min(self._deadline, time.monotonic() + seconds)
        with contextlib.suppress(RuntimeError):  # armed already
            self._unarmed.release()

    def _watch(self) -> None:
        self._unarmed.acquire()
        while (seconds_left := self._deadline - time.monotonic()) > 0:
            time.sleep(min(seconds_left, 1.0))  # in steps, because a second signal shortens it
        self._end()


def request_on_signals(
    shutdown: Shutdown,
    backstop: Backstop,
    drain_seconds: float,
    stop_seconds: float,
    *,
    on_hangup: bool = False,
) -> None:
    """Turn SIGTERM and SIGINT into requests, for the rest of the process's life.

    The first one gives the service `drain_seconds` to end, the second one `stop_seconds`. Then
    `backstop` ends it. The handlers are never removed: a signal that comes after the service has
    ended, but before its process has, would kill the process and change its exit status.

    With `on_hangup`, SIGHUP also asks to drain, unless it is ignored, as under `nohup`. It never
    asks to stop, because the shell and the kernel may both send it when a terminal is closed. A
    SIGHUP that was blocked until now, because its meaning was not known yet, is delivered.

    Must be called inside `trio.run`, in the main thread.
    """
    token = trio.lowlevel.current_trio_token()
    asked = False

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGHUP:
            return
        backstop.arm(stop_seconds if asked else drain_seconds)
        asked = True
        try:
            token.run_sync_soon(shutdown.request, signal.Signals(number).name)
        except trio.RunFinishedError:
            return  # what it asks for has happened

    for number in STOP_SIGNALS:
        signal.signal(number, on_signal)
    if on_hangup and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, on_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
