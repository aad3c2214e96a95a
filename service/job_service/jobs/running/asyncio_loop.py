"""One asyncio loop in a thread of its own, for handlers and resources that speak asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from inspect import isawaitable
from typing import Any, Final

import outcome
import trio

from job_service.jobs.registration.context import JobContext
from job_service.jobs.running.asyncio_thread import ENDING_SECONDS, LoopThread, WatchTurns
from job_service.jobs.running.cancellation import CLEANUP_SECONDS
from job_service.jobs.running.resources import as_context_manager

# A worker says first that its handler does not end, and is free right after that.
LET_GO_SECONDS: Final = CLEANUP_SECONDS + 0.05
# What is left for it of the time that the service has to end.
CLOSING_SECONDS: Final = 0.05


class AsyncioLoop:
    """The asyncio loop of one engine; see `open_asyncio_loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def call(self, function: Callable[[], Any], context: JobContext) -> Any:
        """What `function` gives there, and awaited if need be, for the attempt of `context`.

        If this is cancelled, so is the task there, in the way of asyncio. One that does not end
        within LET_GO_SECONDS of that is let go: it runs on for nobody.
        """
        call = _Call(function, context)
        self._loop.call_soon_threadsafe(call.start, self._loop)
        await self._wait_for_end(call, LET_GO_SECONDS)
        return call.result()

    @asynccontextmanager
    async def entered(self, opener: Callable[[], Any]) -> AsyncIterator[Any]:
        """Enter there what `opener` gives, and leave it at the end of the block, in one task.

        If that task ends in between, with an error or without, the block is cancelled, and this
        raises.
        """
        is_open, values, closing = trio.Event(), list[Any](), asyncio.Event()
        token = trio.lowlevel.current_trio_token()

        async def live() -> None:
            async with as_context_manager(opener()) as value:
                values.append(value)
                token.run_sync_soon(is_open.set)
                await closing.wait()

        call = _Call(live)
        self._loop.call_soon_threadsafe(call.start, self._loop)
        try:
            await _wait_for_either(is_open, call.ended)
            if values:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(call.fail_when_it_ends)
                    yield values[0]
                    nursery.cancel_scope.cancel()
        finally:
            self._loop.call_soon_threadsafe(closing.set)
            await self._wait_for_end(call, CLOSING_SECONDS)
        call.result()

    async def _wait_for_end(self, call: "_Call", seconds: float) -> None:
        """Return when it has ended; if that is cancelled, so many seconds later at most."""
        try:
            await call.ended.wait()
        except trio.Cancelled:
            self._loop.call_soon_threadsafe(call.cancel)
            with trio.move_on_after(seconds, shield=True):
                await call.ended.wait()
            if call.has_given_in:
                raise


class _Call:
    """One task on the loop: of an attempt, if it has a context, or else of a resource."""

    def __init__(self, function: Callable[[], Any], context: JobContext | None = None) -> None:
        self.ended = trio.Event()
        self._function = function
        self._context = context
        self._token = trio.lowlevel.current_trio_token()
        self._task: asyncio.Task[outcome.Outcome[Any]] | None = None
        self._outcome: outcome.Outcome[Any] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop: begin. It sees the context variables of whoever has this called there."""
        self._task = loop.create_task(self._run())
        self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        """On the loop: cancel it, as asyncio does."""
        if self._task is not None:
            self._task.cancel()

    def result(self) -> Any:
        """What it gave or raised, when it has ended."""
        assert self._outcome is not None  # noqa: S101
        return self._outcome.unwrap()

    @property
    def has_given_in(self) -> bool:
        """Whether it was cancelled and has nothing else to say, or does not end."""
        ended = self._outcome
        return ended is None or (
            isinstance(ended, outcome.Error) and isinstance(ended.error, asyncio.CancelledError)
        )

    async def fail_when_it_ends(self) -> None:
        """Wait for its end, which is an error in any case."""
        await self.ended.wait()
        self.result()
        raise RuntimeError("a resource has ended while it was open")

    def job_in_hand(self) -> tuple[str, str, str] | None:
        """The job that it runs, its type and its worker, for whoever looks at its frames."""
        job = self._context
        return None if job is None else (job.id, job.type, job.worker_id)

    async def _run(self) -> outcome.Outcome[Any]:
        # asyncio would end the whole loop with a SystemExit or a KeyboardInterrupt.
        try:
            result = self._function()
            return outcome.Value(await result if isawaitable(result) else result)
        except BaseException as error:
            return outcome.Error(error)

    def _done(self, task: "asyncio.Task[outcome.Outcome[Any]]") -> None:
        # One that is cancelled before its first step does not run at all.
        cancelled = outcome.Error(asyncio.CancelledError())
        ended = cancelled if task.cancelled() else task.result()
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._end, ended)

    def _end(self, ended: outcome.Outcome[Any]) -> None:
        self._outcome = ended
        self.ended.set()


async def _wait_for_either(*events: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def wait_for(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait_for, event)


@asynccontextmanager
async def open_asyncio_loop(watch: WatchTurns | None) -> AsyncIterator[AsyncioLoop]:
    """Run an asyncio loop in a thread for the block; `watch` sees its turns, if it is given.

    At the end, tasks that are left are cancelled. A loop that is blocked is left behind.
    """
    thread = LoopThread(watch, trio.lowlevel.current_trio_token())
    thread.start()
    with trio.CancelScope(shield=True):
        await thread.started.wait()
    try:
        yield AsyncioLoop(thread.loop)
    finally:
        thread.stop()
        with trio.move_on_after(ENDING_SECONDS + CLOSING_SECONDS, shield=True):
            await thread.ended.wait()
