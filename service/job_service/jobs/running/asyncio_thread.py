"""The thread of an asyncio loop, from its first turn to its last, and who watches its turns."""

import asyncio
import selectors
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final, Protocol

import trio

ENDING_SECONDS: Final = 0.1  # that tasks have to end which nobody awaits any more


class Turns(Protocol):
    """Who is told in the loop's thread when each of its turns begins and ends."""

    def begin(self) -> None:
        """The loop has waited, and runs what is ready."""

    def end(self) -> None:
        """The loop waits again."""


WatchTurns = Callable[[trio.lowlevel.TrioToken], AbstractContextManager[Turns]]


class LoopThread(threading.Thread):
    """The thread of the loop. A daemon, because code that blocks it can't be ended."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, watch: WatchTurns | None, token: trio.lowlevel.TrioToken) -> None:
        super().__init__(name="asyncio", daemon=True)
        self.started = trio.Event()
        self.ended = trio.Event()
        self._watch = watch
        self._token = token
        self._is_to_end = False

    def run(self) -> None:
        """In the thread: all of it."""
        if self._watch is None:
            self._live(asyncio.SelectorEventLoop())
        else:
            with self._watch(self._token) as turns:
                self._live(asyncio.SelectorEventLoop(_WatchedSelector(turns)))
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self.ended.set)

    def stop(self) -> None:
        """End it soon; for another thread."""
        self._is_to_end = True
        self.loop.call_soon_threadsafe(self.loop.stop)

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._token.run_sync_soon(self.started.set)
        while not self._is_to_end:
            try:
                loop.run_forever()
            except BaseException as error:
                # Such as a SystemExit in a callback of a handler: it ends nobody else's task.
                _tell(loop, error)
        with suppress(BaseException):
            loop.run_until_complete(_end_what_is_left())
        loop.close()


def _tell(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Say it as any error of a callback, because nobody else may know of it."""
    problem = {"message": "an error came out of the loop, which goes on", "exception": error}
    with suppress(BaseException):  # handlers may have set one of their own to take it
        loop.call_exception_handler(problem)


async def _end_what_is_left() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=ENDING_SECONDS)
    await asyncio.get_running_loop().shutdown_asyncgens()


class _WatchedSelector(selectors.DefaultSelector):
    """What the loop waits in, and so knows when a turn ends and another begins."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Called by asyncio at the end of each turn."""
        self._turns.end()
        try:
            return super().select(timeout)
        finally:
            self._turns.begin()
