"""Keeps calls of the queue on the loop of its service: those of another loop would end both."""

import trio

from job_service.stores.contract import Store

_WHAT_TO_DO = (
    "call the queue only in the Trio run of its service; from a thread, use "
    "trio.from_thread.run(queue.submit, …, trio_token=…), with the token of that run"
)


class OnOwnLoop:
    """Reaches a store, which belongs to one Trio run: that which this is made in.

    Programs hand their queue around, and a handler in a thread may run a Trio of its own, or
    asyncio. The store has no lock, and it wakes tasks, which is possible only from their own loop.
    """

    def __init__(self, store: Store) -> None:
        self._kept_store = store
        self._clock = store.clock
        self._token = _present_run()

    @property
    def _store(self) -> Store:
        """The store. On any other loop, and without one, this raises RuntimeError."""
        here = _present_run()
        if self._token is None:  # it was made before the loop that it is for, by who serves only
            self._token = here
        if here is None or here is not self._token:
            raise RuntimeError(_WHAT_TO_DO)
        return self._kept_store


def _present_run() -> trio.lowlevel.TrioToken | None:
    return trio.lowlevel.current_trio_token() if trio.lowlevel.in_trio_run() else None
