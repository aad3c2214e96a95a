"""Full garbage collections on a schedule, because one stops the event loop while it lasts.

Left to itself, Python makes one whenever the objects that live long have grown by a quarter. It
looks at all of them, thousands of idle connections included, and at all that was imported. Young
objects are still collected as always, and with them nearly all garbage.
"""

import gc
from gc import collect
from sys import getallocatedblocks
from time import thread_time
from typing import Final

import trio

CHECK_SECONDS: Final = 1.0
EVERY_SECONDS: Final = 10.0
MAX_SHARE: Final = 0.002  # of the time; where there is much to look at, it is done less often
GROWTH: Final = 1.5  # of memory, from which on it is done anyway

_NEVER: Final = 2**31 - 1


async def collect_on_schedule() -> None:
    """Take the full collections of this process over, until cancelled.

    All that exists at the start is taken for permanent, and never looked at. What handlers leave
    in circles is found within ten seconds, or 500 times as long as finding it takes; or as soon as
    the number of blocks of memory has grown by half.

    In the end the thresholds are as they were, and nothing is frozen any more.
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
    took, ended, blocks = 0.0, trio.current_time(), getallocatedblocks()
    while True:
        await trio.sleep(CHECK_SECONDS)
        due = ended + max(EVERY_SECONDS, took / MAX_SHARE)
        is_due = trio.current_time() >= due and _any_has_grown_old()
        if is_due or getallocatedblocks() > GROWTH * blocks:
            began = thread_time()
            collect()
            took = thread_time() - began
            ended, blocks = trio.current_time(), getallocatedblocks()


def _any_has_grown_old() -> bool:
    return gc.get_count()[2] > 0
