"""Full garbage collections on a schedule, because each one stops the event loop while it runs.

By itself, Python runs one whenever the number of long-lived objects has grown by a quarter. It
visits all of them, with thousands of idle connections and all that was imported. Young objects are
still collected as usual, and nearly all garbage with them.
"""

import gc
from gc import collect
from resource import RUSAGE_SELF, getrusage
from time import thread_time
from typing import Final

import trio

CHECK_SECONDS: Final = 1.0
EVERY_SECONDS: Final = 10.0
MAX_SHARE: Final = 0.002  # of the time; if a collection takes long, they come less often
GROWTH: Final = 1.5  # of memory, at which one is run anyway

_NEVER: Final = 2**31 - 1


async def collect_garbage_on_schedule() -> None:
    """Run the full collections of this process in Python's place, until cancelled.

    All that exists at the start counts as permanent, and is never visited. Cycles that handlers
    leave behind are collected within ten seconds or, if that is more, 500 times as long as a
    collection takes; and as soon as the process has half as much memory again as it ever had.

    At its end it restores the thresholds and unfreezes all objects.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        await _collect_when_due()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def _collect_when_due() -> None:
    took, ended, memory = 0.0, trio.current_time(), _most_memory()
    while True:
        await trio.sleep(CHECK_SECONDS)
        due = ended + max(EVERY_SECONDS, took / MAX_SHARE)
        is_due = trio.current_time() >= due and _has_old_objects()
        if is_due or _most_memory() > GROWTH * memory:
            began = thread_time()
            collect()
            took = thread_time() - began
            ended, memory = trio.current_time(), _most_memory()


def _has_old_objects() -> bool:
    return gc.get_count()[2] > 0


def _most_memory() -> int:
    """The most memory that the process has had, in the system's unit.

    Nothing asks Python how many objects there are: for that it would visit all of their memory.
    """
    return getrusage(RUSAGE_SELF).ru_maxrss
