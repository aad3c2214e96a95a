"""A nursery that tells when each of its children starts and how it stops."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Literal, Protocol, TypeVar

import trio

from job_service.failures.exception_groups import is_cancellation

StopReason = Literal["finished", "cancelled", "crashed"]


class Runnable(Protocol):
    """Something with a main coroutine."""

    async def run(self) -> None:
        """Do the whole of it."""


Child = TypeVar("Child", bound=Runnable)


class LifecycleNursery(Generic[Child]):
    """Owns its children as `trio.Nursery` does; see `open_lifecycle_nursery`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        on_start: Callable[[Child], None],
        on_stop: Callable[[Child, StopReason], None],
    ) -> None:
        self._nursery = nursery
        self._on_start = on_start
        self._on_stop = on_stop

    async def start(self, child: Child) -> None:
        """Run `child` as a task of this nursery; returns once `on_start` has been called."""
        await self._nursery.start(self._run, child)

    async def _run(self, child: Child, task_status: trio.TaskStatus[None]) -> None:
        reason: StopReason = "crashed"
        self._on_start(child)
        task_status.started()
        try:
            await child.run()
            reason = "finished"
        except BaseException as error:
            if is_cancellation(error):
                reason = "cancelled"
            raise
        finally:
            self._on_stop(child, reason)


@asynccontextmanager
async def open_lifecycle_nursery(
    on_start: Callable[[Child], None], on_stop: Callable[[Child, StopReason], None]
) -> AsyncIterator[LifecycleNursery[Child]]:
    """Open a nursery whose children are announced and, however they end, signed off.

    `on_start(child)` is called in the child's own task before its first step, and
    `on_stop(child, reason)` after its last one, without a checkpoint, so that no cancellation can
    keep either from being called. Errors and cancellation are those of `trio.open_nursery`.
    """
    async with trio.open_nursery() as nursery:
        yield LifecycleNursery(nursery, on_start, on_stop)
