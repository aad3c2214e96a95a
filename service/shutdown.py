"""How the service is asked to end: once to drain, twice to stop at once."""

import signal
from types import FrameType

import trio

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The two requests, as events that the supervisor waits for."""

    def __init__(self) -> None:
        self.requested = trio.Event()
        self.insisted = trio.Event()
        self.reason = ""

    def request(self, reason: str) -> None:
        """Drain, for this reason; asked again, stop now."""
        if not self.requested.is_set():
            self.reason = reason
            self.requested.set()
        else:
            self.insisted.set()


def request_on_signals(shutdown: Shutdown) -> None:
    """Turn SIGTERM and SIGINT into requests, for the rest of the process's life.

    The handlers are never taken back: a signal that comes when the service has already ended, but
    its process has not, would otherwise kill it and spoil its exit status. Must be called inside
    `trio.run`, in the main thread.
    """
    token = trio.lowlevel.current_trio_token()

    def on_signal(number: int, _: FrameType | None) -> None:
        try:
            token.run_sync_soon(shutdown.request, signal.Signals(number).name)
        except trio.RunFinishedError:
            return  # what it asks for has happened

    for number in STOP_SIGNALS:
        signal.signal(number, on_signal)
