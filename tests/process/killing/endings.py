"""The ways in which services are ended, at random moments."""

import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tests.process.killing.lives import Life

STARTING_SECONDS: Final = 0.75
RUNNING_SECONDS: Final = 1.5
STOPPING_SECONDS: Final = 0.2

Receipt = Callable[[], Awaitable[object]]  # returns when a client got its next one
End = Callable[[Life, random.Random, Receipt], Awaitable[None]]


async def kill(life: Life, chance: random.Random, receipt: Receipt) -> None:
    """Kill it while it starts, runs or stops, or just when somebody got a receipt."""
    moment = chance.choice(["start", "run", "receipt", "receipt", "stop"])
    if moment == "start":
        with trio.move_on_after(chance.uniform(0, STARTING_SECONDS)):
            await life.started()
    else:
        await _run(life, chance)
    if moment == "receipt":
        with trio.move_on_after(RUNNING_SECONDS):
            await receipt()
    elif moment == "stop":
        life.send(signal.SIGTERM)
        with trio.move_on_after(chance.uniform(0, STOPPING_SECONDS)):
            assert await life.exit_status() == 0, life.last_words()
            return
    life.send(signal.SIGKILL)
    assert await life.exit_status() == -signal.SIGKILL, life.last_words()


async def stop(life: Life, chance: random.Random, _: Receipt) -> None:
    """Have it drain, which it must do in time and well."""
    await _run(life, chance)
    life.send(signal.SIGTERM)
    assert await life.exit_status() == 0, life.last_words()


async def _run(life: Life, chance: random.Random) -> None:
    await life.started()
    await trio.sleep(chance.uniform(0, RUNNING_SECONDS))
