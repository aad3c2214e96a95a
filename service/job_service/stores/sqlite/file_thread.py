"""The one thread that uses the file: what it is asked for is done in order, one call at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar

import outcome
import trio

from job_service.errors import StoreUnavailable
from job_service.stores.sqlite.job_file import JobFile

P = ParamSpec("P")
T = TypeVar("T")


class FileThread:
    """Opens the file in its thread, and calls functions with it there until `close`.

    Nothing of SQLite is touched by another thread. The thread is a daemon, so a disk that never
    answers can't keep the process.
    """

    def __init__(self, open_file: Callable[[], AbstractContextManager[JobFile]]) -> None:
        self._open_file = open_file
        self._calls = SimpleQueue[Callable[[JobFile], None] | None]()
        self._thread = threading.Thread(target=self._run, name="job-file", daemon=True)
        self._opened = Future[None]()
        self._closed = Future[None]()
        self._answered_at: float | None = None  # the last call, while the next one is under way

    @property
    def seconds_in_call(self) -> float:
        """For how long the thread has waited for the disk, or has been busy otherwise."""
        since = self._answered_at
        return 0.0 if since is None else time.monotonic() - since

    async def start(self) -> None:
        """Open the file. Raises what opening it raises."""
        self._thread.start()
        await trio.to_thread.run_sync(
            self._opened.result, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )

    async def call(
        self, function: Callable[Concatenate[JobFile, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function(file, …)` returns or raises.

        It is called even if this is cancelled.
        """
        task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()
        waits = True

        def wake(result: outcome.Outcome[T]) -> None:
            if waits:
                trio.lowlevel.reschedule(task, result)

        def call(file: JobFile) -> None:
            result = outcome.capture(function, file, *args, **kwargs)
            with suppress(trio.RunFinishedError):  # nobody is left to hear of it
                token.run_sync_soon(wake, result)

        def abort(_: Callable[[], None]) -> trio.lowlevel.Abort:
            nonlocal waits
            waits = False
            return trio.lowlevel.Abort.SUCCEEDED

        self._calls.put(call)
        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def call_at_once(self, function: Callable[[JobFile], T], timeout_seconds: float) -> T:
        """What `function(file)` returns or raises; for a thread that is not the loop's.

        Raises TimeoutError if it is not done in time.
        """
        result = Future[T]()

        def call(file: JobFile) -> None:
            try:
                result.set_result(function(file))
            except Exception as error:
                result.set_exception(error)

        self._calls.put(call)
        return result.result(timeout_seconds)

    def do_what_waits(self, file: JobFile) -> None:
        """Within a call that takes long: do all that was called for meanwhile.

        Raises StoreUnavailable if the file is to be closed.
        """
        while not self._calls.empty():
            call = self._calls.get()
            if call is None:
                self._calls.put(None)  # for the thread to find it, too
                raise StoreUnavailable("the store is being closed")
            call(file)
        self._answered_at = time.monotonic()

    async def close(self, timeout_seconds: float) -> None:
        """Close the file after the last call, and return then, or when the time is over."""
        self._calls.put(None)
        with trio.CancelScope(shield=True), trio.move_on_after(timeout_seconds):
            await trio.to_thread.run_sync(
                self._closed.result, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )

    def _run(self) -> None:
        try:
            with self._open_file() as file:
                self._opened.set_result(None)
                while (call := self._calls.get()) is not None:
                    self._answered_at = time.monotonic()
                    call(file)
                    self._answered_at = None
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            self._closed.set_result(None)
